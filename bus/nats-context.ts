import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Login } from "./login-rules.ts";

/** Where the `nats` command keeps its contexts, from environment variables. */
export function contextDirectory({ XDG_CONFIG_HOME: config, HOME: home = "" }: NodeJS.ProcessEnv): string {
  return join(config || join(home, ".config"), "nats", "context");
}

/** A context can't be used. Its message says why, and repeats no value of the file. */
export class NatsContextError extends Error {}

const text = z.string().default("");

/** What is read of a context. */
const readFields = z.object({
  url: text,
  user: text,
  password: text,
  token: text,
  creds: text,
  nkey: text,
  ca: text,
  cert: text,
  key: text,
  inbox_prefix: text,
  tls_first: z.boolean().default(false),
});

/** Settings of a login that have another name in a context. */
export const contextFields: Readonly<Record<string, string>> = {
  servers: "url",
  credentials_file: "creds",
  nkey_file: "nkey",
  password_file: "password",
  ca_file: "ca",
  cert_file: "cert",
  key_file: "key",
};

/** Without effect on what slotd does. */
const IGNORED = ["description", "color_scheme", "jetstream_event_prefix"];

/**
 * Reads a context of the `nats` command: `NAME.json` in its directory. Whatever a context asks for that slotd can't do
 * is refused, because ignoring it would lead to another place, or to the same place as somebody else.
 * @throws NatsContextError
 */
export function readNatsContext(name: string, directory: string, home: string): Partial<Login> {
  if (/[/\\]|\.\./.test(name)) throw new NatsContextError("must be the name of a context, not a path");
  const file = join(directory, `${name}.json`);
  const value = readJson(file);
  const known = [...Object.keys(readFields.shape), ...IGNORED];
  const unknown = Object.entries(value).find(([field, given]) => !known.includes(field) && isGiven(given));
  if (unknown) throw new NatsContextError(`${file} sets "${unknown[0]}", which slotd-controller can't honour`);
  const parsed = readFields.safeParse(value);
  if (!parsed.success) throw new NatsContextError(`${file}: ${String(parsed.error.issues[0]?.path[0])} is malformed`);
  return toLogin(parsed.data, (path) => path.replace(/^~(?=\/)/, home));
}

function toLogin(context: z.infer<typeof readFields>, expand: (path: string) => string): Partial<Login> {
  const given = (value: string) => (value === "" ? undefined : value);
  const path = (value: string) => given(expand(value));
  const tls = { ca_file: path(context.ca), cert_file: path(context.cert), key_file: path(context.key) };
  const usesTls = context.tls_first || Object.values(tls).some((file) => file !== undefined);
  const servers = context.url.split(",").map((address) => address.trim());
  return {
    ...(context.url !== "" && { servers }),
    credentials_file: path(context.creds),
    nkey_file: path(context.nkey),
    user: given(context.user),
    password: given(context.password),
    token: given(context.token),
    inbox_prefix: given(context.inbox_prefix),
    ...(usesTls && { tls: { ...tls, handshake_first: context.tls_first } }),
  };
}

function readJson(file: string): object {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (cause) {
    throw new NatsContextError(`can't be read: ${(cause as Error).message}`, { cause });
  }
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Node's message repeats a piece of the file, which may be a password.
  }
  throw new NatsContextError(`${file} must be a JSON object`);
}

function isGiven(value: unknown): boolean {
  return ![undefined, null, "", false].includes(value as null) && !(Array.isArray(value) && value.length === 0);
}
