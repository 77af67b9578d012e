import { isAbsolute } from "node:path";
import { checkOwnDirectory } from "../daemon/own-directory.ts";
import { ConfigInvalidError, type ConfigMistake, toSlotdError } from "../protocol/errors.ts";
import type { Config } from "./config/schema.ts";
import { findAccount } from "./os/account.ts";
import { findProgram, whyNotRunnable } from "./os/find-program.ts";
import { readHeaders } from "./releases/fetch/headers.ts";
import { Secrets } from "./workers/process/secrets.ts";

type Checked = Pick<Config, "app" | "releases" | "state_directory">;

/**
 * What a configuration names on this host: the state directory, the app's program, the workers' user and groups, the
 * files of secrets, and that of headers. Credentials are systemd's to pass, and are not looked for here.
 * @param path the PATH, where the configuration sets none
 * @throws ConfigInvalidError naming the keys.
 */
export async function checkHost({ app, releases, state_directory }: Checked, path: string): Promise<void> {
  const { user, group, supplementary_groups: supplementary, secrets } = app;
  const program = programMistake(app, path);
  const found: (ConfigMistake | null)[] = [program];
  found.push(await mistakeOf("state_directory", async () => checkOwnDirectory(state_directory)));
  if (user !== undefined)
    found.push(await mistakeOf("app.user", async () => void (await findAccount({ user, group, supplementary }))));
  for (const [variable, source] of Object.entries(secrets)) {
    if (!("file" in source)) continue;
    const one = new Secrets({ [variable]: source }, undefined);
    found.push(await mistakeOf(`app.secrets.${variable}`, async () => void one.readValues()));
  }
  const headers = releases.fetch_headers_file ?? null;
  found.push(await mistakeOf("releases.fetch_headers_file", async () => void (await readHeaders(headers))));
  const [first, ...others] = found.filter((mistake) => mistake !== null);
  if (first) throw new ConfigInvalidError(first.key, first.rule, {}, others);
}

async function mistakeOf(key: string, check: () => Promise<void>): Promise<ConfigMistake | null> {
  try {
    await check();
    return null;
  } catch (error) {
    if (error instanceof ConfigInvalidError) return error.mistakes[0] ?? null;
    const { field, message } = toSlotdError(error);
    return { key: field ?? key, rule: `can't be used: ${message}` };
  }
}

/** A program with a relative path comes with the release, which is not here yet. */
function programMistake({ command, environment }: Config["app"], path: string): ConfigMistake | null {
  const [program] = command ?? [];
  const searched = environment.PATH ?? path;
  if (program === undefined || (program.includes("/") && !isAbsolute(program))) return null;
  if (isAbsolute(program)) {
    const why = whyNotRunnable(program);
    return why === null ? null : { key: "app.command", rule: `can't be run: ${program}: ${why}` };
  }
  if (findProgram(program, searched) !== null) return null;
  return {
    key: "app.command",
    rule: `can't be run: ${program} is not on the PATH (${searched}); install it, or set app.environment.PATH`,
  };
}
