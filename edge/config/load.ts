import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { ConfigInvalidError, redact } from "../../protocol/index.ts";
import { type Config, configSchema } from "./schema.ts";

/**
 * Reads a configuration file: defaults, then strict decoding, then the rules, then frozen.
 * @throws ConfigInvalidError naming the key, the rule and the value.
 */
export function loadConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigInvalidError(path, `can't be read (${(cause as Error).message})`, { cause });
  }
  return parseConfig(text, path);
}

/** The same for a text; `path` is only named in messages. */
export function parseConfig(text: string, path = "the configuration"): Config {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw new ConfigInvalidError(path, "is not TOML", { cause });
    const [first] = cause.message.split("\n");
    throw new ConfigInvalidError(`${path}:${cause.line}:${cause.column}`, `is not TOML: ${first}`, { cause });
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) throw toConfigError(parsed.error, value);
  const { data } = parsed;
  return deepFreeze({ ...data, state_directory: data.state_directory ?? `/var/lib/slotd-edge/${data.service}` });
}

function toConfigError(error: z.ZodError, value: unknown): ConfigInvalidError {
  const issue = error.issues[0];
  if (!issue) return new ConfigInvalidError("(the whole file)", "is not valid");
  if (issue.code === "unrecognized_keys") {
    const key = [...issue.path, issue.keys[0]].join(".");
    return new ConfigInvalidError(key, "is not a known key; see docs/edge.md for the keys there are");
  }
  const key = issue.path.join(".") || "(the whole file)";
  const given = issue.path.reduce<unknown>((v, k) => (v as Record<PropertyKey, unknown> | undefined)?.[k], value);
  const rule = key === "proxy.kind" ? 'must be one of "builtin", "varnish", "haproxy"' : issue.message;
  if (given === undefined) return new ConfigInvalidError(key, `is required, or breaks a rule: ${rule}`);
  return new ConfigInvalidError(key, `${rule}, but is ${shown(given)}`);
}

function shown(value: unknown): string {
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) return "a list of tables";
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return "a table";
  return redact(JSON.stringify(value)).slice(0, 200);
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === "object" && child !== null) deepFreeze(child);
  return Object.freeze(value);
}
