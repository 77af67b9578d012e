import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { didYouMean } from "../protocol/did-you-mean.ts";
import { ConfigInvalidError, type ConfigMistake, redact } from "../protocol/errors.ts";
import { configRule } from "./config-rule.ts";
import { knownKeys } from "./known-keys.ts";

/** A file with more mistakes than this is another kind of file. */
const MAX_MISTAKES = 50;

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
 * @throws ConfigInvalidError naming the key, the rule and the value of each mistake.
 */
export function decodeConfig<S extends z.ZodType>(schema: S, text: string, path: string, kind: ConfigKind): z.infer<S> {
  const value = parseToml(text, path);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw toConfigError(parsed.error, schema, value, kind);
}

/** The same value, made immutable. */
export function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === "object" && child !== null) deepFreeze(child);
  return Object.freeze(value);
}

function parseToml(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw new ConfigInvalidError(path, "is not TOML", { cause });
    const [first = ""] = cause.message.replace("Invalid TOML document: ", "").split("\n");
    throw new ConfigInvalidError(`${path}:${cause.line}:${cause.column}`, `is not TOML: ${first}`, { cause });
  }
}

function toConfigError(error: z.ZodError, schema: z.ZodType, value: unknown, kind: ConfigKind): ConfigInvalidError {
  const [first, ...others] = error.issues.flatMap((issue) => mistakesOf(issue, schema, value, kind));
  if (!first) return new ConfigInvalidError("(the whole file)", "is not valid");
  return new ConfigInvalidError(first.key, first.rule, {}, others.slice(0, MAX_MISTAKES - 1));
}

function mistakesOf(issue: z.core.$ZodIssue, schema: z.ZodType, whole: unknown, kind: ConfigKind): ConfigMistake[] {
  const { keysIn, secret, rules } = kind;
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, issue.path);
    return issue.keys.map((key) => ({
      key: [...issue.path, key].join("."),
      rule: `is not a known key${didYouMean(key, known) || `; see ${keysIn} for the keys there are`}`,
    }));
  }
  const key = issue.path.join(".") || "(the whole file)";
  const given = issue.path.reduce<unknown>((v, k) => (v as Record<PropertyKey, unknown> | undefined)?.[k], whole);
  const rule = rules?.[key] ?? configRule(issue);
  if (given === undefined) return [{ key, rule: rule.startsWith("is required") ? rule : `is required: it ${rule}` }];
  // What a rule says of a table is about something in it.
  const isVague = issue.code === "invalid_key" || (issue.code === "custom" && typeof given === "object");
  return [{ key, rule: isVague || secret?.test(key) ? rule : `${rule}, but is ${shown(given)}` }];
}

function shown(value: unknown): string {
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) return "a list of tables";
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return "a table";
  return redact(JSON.stringify(value)).slice(0, 200);
}
