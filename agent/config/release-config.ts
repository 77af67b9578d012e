import { constants, lstat, open } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { z } from "zod";
import { configRule } from "../../daemon/config-rule.ts";
import { ReleaseConfigError } from "../../protocol/errors.ts";
import { positiveMs } from "./durations.ts";
import { healthSchema } from "./probes.ts";
import { appSchema, type Config, environmentSchema, readinessSchema } from "./schema.ts";

/** A file at the top of a release that says how to run it. */
export const releaseConfigName = "slotd.toml";
const MAX_BYTES = 64 * 1024;

/**
 * What a release may say, where the host lets it: the same keys, with the same rules, as in the host's configuration.
 */
const releaseConfigSchema = z.strictObject({
  app: z
    .strictObject({
      command: appSchema.shape.command,
      listen: appSchema.shape.listen.unwrap().optional(),
      environment: environmentSchema.optional(),
      stop_signal: appSchema.shape.stop_signal.unwrap().optional(),
    })
    .default({}),
  health: z
    .strictObject({
      path: healthSchema.shape.path.unwrap().optional(),
      host: healthSchema.shape.host,
      headers: healthSchema.shape.headers.unwrap().optional(),
      expect: healthSchema.shape.expect,
      https: healthSchema.shape.https.unwrap().optional(),
    })
    .default({}),
  readiness: z
    .strictObject({
      by: readinessSchema.shape.by.unwrap().optional(),
      hold_ms: readinessSchema.shape.hold_ms.unwrap().optional(),
      timeout_ms: positiveMs.optional(),
    })
    .default({}),
});
export type ReleaseConfig = z.infer<typeof releaseConfigSchema>;

/** A configuration under which a release can be run. */
export type RunConfig = Config & { app: { command: string[] } };

/**
 * The loader, the C library and interpreters act on these before an app does; some of them in the launcher, with the
 * agent's rights. ld.so(8), "Secure-execution mode", lists those that setuid programs do not believe either.
 */
const DANGEROUS =
  /^(LD_|GLIBC_|MALLOC_|(PATH|ENV|BASH_ENV|IFS|PS4|SHELLOPTS|NODE_OPTIONS|GCONV_PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|NIS_PATH|NLSPATH|RESOLV_HOST_CONF|RES_OPTIONS|TMPDIR|TZDIR)$)/;

/**
 * What a release says of itself.
 * @param tree its files
 * @returns nothing where it says nothing.
 * @throws ReleaseConfigError naming the key.
 */
export async function readReleaseConfig(version: string, tree: string): Promise<ReleaseConfig> {
  const refuse = (rule: string) => new ReleaseConfigError(version, releaseConfigName, rule);
  const path = join(tree, releaseConfigName);
  let text: string;
  try {
    text = await readSmall(path);
  } catch (cause) {
    if (cause instanceof RangeError) throw refuse(cause.message);
    if (await isMissing(path)) return releaseConfigSchema.parse({});
    throw refuse(`can't be read (${(cause as Error).message})`);
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    const [line] = (cause as Error).message.split("\n");
    throw refuse(`is not TOML (${line})`);
  }
  const parsed = releaseConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const extra = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const key = [...(issue?.path ?? []), ...(extra === undefined ? [] : [extra])].join(".");
  throw new ReleaseConfigError(
    version,
    key,
    extra ? "is not a key that a release may set" : issue ? configRule(issue) : "",
  );
}

/** A small file's text. Does not wait for whatever else may be there, and does not fill the memory with it. */
async function readSmall(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new RangeError("is not a file");
    if (stats.size > MAX_BYTES) throw new RangeError(`is over ${MAX_BYTES} bytes`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** Nothing has that name, not even a link that leads nowhere. */
async function isMissing(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === "ENOENT" || code === "ENOTDIR",
  );
}

/**
 * The host's configuration with what a release says of itself, within what the host allows.
 * @throws ReleaseConfigError naming the key and the bound.
 */
export function withReleaseConfig(config: Config, version: string, own: ReleaseConfig): RunConfig {
  const refuse = (key: string, rule: string) => new ReleaseConfigError(version, key, rule);
  const { may_set, max_readiness_timeout_ms: longest } = config.releases;
  for (const [table, keys] of Object.entries(own)) {
    for (const key of Object.keys(keys)) {
      const allowed = (may_set as string[]).includes(`${table}.${key}`);
      if (!allowed) throw refuse(`${table}.${key}`, "may not be set by a release here: see [releases] may_set");
    }
  }
  const environment = own.app.environment ?? {};
  for (const name of Object.keys(environment)) {
    if (DANGEROUS.test(name))
      throw refuse(`app.environment.${name}`, "acts on more than the app, so that only the host may set it");
    if (Object.hasOwn(config.app.secrets, name))
      throw refuse(`app.environment.${name}`, "is one of the host's secrets");
  }
  const timeoutMs = own.readiness.timeout_ms ?? 0;
  if (timeoutMs > longest)
    throw refuse("readiness.timeout_ms", `must be at most ${longest}, by [releases] max_readiness_timeout_ms`);
  const command = own.app.command ?? config.app.command;
  if (command === undefined) throw refuse("app.command", "is set neither by the release nor by the host");
  return {
    ...config,
    // The host's values override the release's: it knows where its database is.
    app: over(config.app, own.app, { command, environment: { ...environment, ...config.app.environment } }),
    health: over(config.health, own.health),
    readiness: over(config.readiness, own.readiness),
  };
}

/** A table with what others say in its place; what they leave undefined stays. */
function over<T extends object, O extends object>(base: T, ...others: { [K in keyof O]?: O[K] | undefined }[]): T & O {
  const said = others.flatMap((other) => Object.entries(other).filter(([, value]) => value !== undefined));
  return { ...base, ...Object.fromEntries(said) } as T & O;
}
