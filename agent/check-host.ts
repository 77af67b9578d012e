import { ConfigInvalidError, toSlotdError } from "../protocol/errors.ts";
import type { Config } from "./config/schema.ts";
import { findAccount } from "./os/account.ts";
import { readHeaders } from "./releases/fetch/headers.ts";
import { Secrets } from "./workers/process/secrets.ts";

/**
 * What a configuration names on this host: the workers' user and groups, the files of secrets, and that of headers.
 * Credentials are systemd's to pass, and are not looked for here.
 * @throws ConfigInvalidError naming the key.
 */
export async function checkHost({ app, releases }: Pick<Config, "app" | "releases">): Promise<void> {
  const { user, group, supplementary_groups: supplementary, secrets } = app;
  const files = Object.fromEntries(Object.entries(secrets).filter(([, source]) => "file" in source));
  try {
    if (user !== undefined) await findAccount({ user, group, supplementary });
    new Secrets(files, undefined).readValues();
  } catch (cause) {
    const { field, message } = toSlotdError(cause);
    throw new ConfigInvalidError(field ?? "app.user", `can't be used: ${message}`, { cause });
  }
  await readHeaders(releases.fetch_headers_file ?? null).catch((cause: Error) => {
    throw new ConfigInvalidError("releases.fetch_headers_file", `can't be used: ${cause.message}`, { cause });
  });
}
