import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";
import { ConfigInvalidError, redact } from "../../protocol/index.ts";
import { longestSignsPath } from "../workers/signs-paths.ts";
import { type Config, configSchema, slotWorkers } from "./schema.ts";

/** Longest path that fits a unix socket's address, with its final NUL (unix(7), sun_path). */
const MAX_SOCKET_PATH = 107;

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
  const config = parsed.data;
  const socket = config.control.socket ?? `/run/slotd/${config.service}.sock`;
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH)
    throw new ConfigInvalidError("control.socket", `must be at most ${MAX_SOCKET_PATH} bytes long, but is ${socket}`);
  const whole: Config = {
    ...config,
    slots: slotWorkers(config),
    state_directory: config.state_directory ?? `/var/lib/slotd/${config.service}`,
    advertise: config.advertise ?? (["0.0.0.0", "::"].includes(config.bind) ? config.host : config.bind),
    control: { ...config.control, socket },
  };
  const beside = longestSignsPath(whole);
  if (beside !== null && Buffer.byteLength(beside) > MAX_SOCKET_PATH)
    throw new ConfigInvalidError(
      "control.socket",
      `must be shorter: the workers' own sockets lie beside it, and ${beside} is over ${MAX_SOCKET_PATH} bytes`,
    );
  return deepFreeze(whole);
}

function toConfigError(error: z.ZodError, value: unknown): ConfigInvalidError {
  const issue = error.issues[0];
  if (!issue) return new ConfigInvalidError("(the whole file)", "is not valid");
  if (issue.code === "unrecognized_keys") {
    const key = [...issue.path, issue.keys[0]].join(".");
    return new ConfigInvalidError(key, "is not a known key; see docs/config.md for the keys there are");
  }
  const key = issue.path.join(".") || "(the whole file)";
  const given = issue.path.reduce<unknown>((v, k) => (v as Record<PropertyKey, unknown> | undefined)?.[k], value);
  if (given === undefined) return new ConfigInvalidError(key, `is required, or breaks a rule: ${issue.message}`);
  // An app's environment may hold secrets, and so may whatever has it inside: these values are never repeated.
  if (/^app\.(environment|secrets)/.test(key)) return new ConfigInvalidError(key, issue.message);
  return new ConfigInvalidError(key, `${issue.message}, but is ${shown(given)}`);
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
