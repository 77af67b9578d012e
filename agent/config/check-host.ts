import { ConfigInvalidError, toSlotdError } from "../../protocol/index.ts";
import { findAccount } from "../os/account.ts";
import { Secrets } from "../workers/secrets.ts";
import type { Config } from "./schema.ts";

/**
 * What a configuration names on this host: the workers' user and groups, and the files of secrets. Credentials are systemd's to pass,
 * and are not looked for here.
 * @throws ConfigInvalidError naming the key.
 */
export async function checkHost({ app }: Pick<Config, "app">): Promise<void> {
  const { user, group, supplementary_groups: supplementary, secrets } = app;
  const files = Object.fromEntries(Object.entries(secrets).filter(([, source]) => "file" in source));
  try {
    if (user !== undefined) await findAccount({ user, group, supplementary });
    new Secrets(files, undefined).read();
  } catch (cause) {
    const { field, message } = toSlotdError(cause);
    throw new ConfigInvalidError(field ?? "app.user", `can't be used: ${message}`, { cause });
  }
}
