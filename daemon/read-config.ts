import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { ConfigInvalidError, redact } from "../protocol/errors.ts";

/** What the messages about a configuration have to know of it. */
export interface ConfigKind {
  /** The document with its keys. */
  keysIn: string;
  /** Keys whose values are never repeated. */
  secret?: RegExp;
  /** In place of what the schema says of a key. */
  rules?: Record<string, string>;
}

/** The text of a configuration file. @throws ConfigInvalidError naming the file. */
export function readConfigFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigInvalidError(path, `can't be read (${(cause as Error).message})`, { cause });
  }
}

/**
 * Decodes a configuration strictly.
 * @param path named in messages only
 * @throws ConfigInvalidError naming the key, the rule and the value.
 */
export function decodeConfig<S extends z.ZodType>(schema: S, text: string, path: string, kind: ConfigKind): z.infer<S> {
  const value = parseToml(text, path);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw toConfigError(parsed.error, value, kind);
}

/** The same value, which nobody can change any more. */
export function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === "object" && child !== null) deepFreeze(child);
  return Object.freeze(value);
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw new ConfigInvalidError(path, "is not TOML", { cause });
    const [first] = cause.message.split("\n");
    throw new ConfigInvalidError(`${path}:${cause.line}:${cause.column}`, `is not TOML: ${first}`, { cause });
  }
}

function toConfigError(error: z.ZodError, value: unknown, { keysIn, secret, rules }: ConfigKind): ConfigInvalidError {
  const issue = error.issues[0];
  if (!issue) return new ConfigInvalidError("(the whole file)", "is not valid");
  if (issue.code === "unrecognized_keys") {
    const key = [...issue.path, issue.keys[0]].join(".");
    return new ConfigInvalidError(key, `is not a known key; see ${keysIn} for the keys there are`);
  }
  const key = issue.path.join(".") || "(the whole file)";
  const given = issue.path.reduce<unknown>((v, k) => (v as Record<PropertyKey, unknown> | undefined)?.[k], value);
  const rule = rules?.[key] ?? issue.message;
  if (given === undefined) return new ConfigInvalidError(key, `is required, or breaks a rule: ${rule}`);
  if (secret?.test(key)) return new ConfigInvalidError(key, rule);
  return new ConfigInvalidError(key, `${rule}, but is ${shown(given)}`);
}

function shown(value: unknown): string {
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) return "a list of tables";
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return "a table";
  return redact(JSON.stringify(value)).slice(0, 200);
}
