import { accessSync, constants } from "node:fs";
import { defaultServer, parseAddress } from "../bus/address.ts";
import { type Login, loginFaults, loginFiles } from "../bus/login-rules.ts";
import { contextDirectory, NatsContextError, readNatsContext } from "../bus/nats-context.ts";
import { UsageError } from "./errors.ts";
import { type LoginOptions, list } from "./options.ts";

/** A setting's option, and the variable that stands in for it. */
const NAMES = {
  servers: ["--nats", "SLOTD_NATS"],
  context: ["--context", "SLOTD_CONTEXT"],
  credentials_file: ["--creds", "SLOTD_CREDS"],
  nkey_file: ["--nkey", "SLOTD_NKEY"],
  user: ["--user", "SLOTD_USER"],
  password_file: ["--password-file", "SLOTD_PASSWORD_FILE"],
  token_file: ["--token-file", "SLOTD_TOKEN_FILE"],
  ca_file: ["--tlsca", "SLOTD_TLSCA"],
  cert_file: ["--tlscert", "SLOTD_TLSCERT"],
  key_file: ["--tlskey", "SLOTD_TLSKEY"],
} as const;
type Setting = keyof typeof NAMES;
type Settings = Partial<Record<Exclude<Setting, "servers">, string | undefined>>;

/** Who one is. A login on the command line replaces the one in the environment as a whole. */
const WAYS = ["context", "credentials_file", "nkey_file", "user", "password_file", "token_file"] as const;

/**
 * The login that the options mean, or the environment where they say nothing.
 * @throws UsageError naming the option, or the variable, and the rule
 */
export function chooseLogin(options: LoginOptions, env: NodeJS.ProcessEnv): Login {
  const given = fromOptions(options);
  const standIn = fromEnvironment(env);
  const isGiven = WAYS.some((way) => given[way] !== undefined) || options.nats?.some(hasLogin) === true;
  if (isGiven) for (const way of WAYS) delete standIn[way];
  const name = (setting: string): string => {
    const [option, variable] = NAMES[setting as Setting] ?? [setting, setting];
    return given[setting as keyof Settings] === undefined && standIn[setting as keyof Settings] ? variable : option;
  };
  const { context, ca_file, cert_file, key_file, ...login } = { ...standIn, ...defined(given) };
  const files = defined({ ca_file, cert_file, key_file });
  const other = WAYS.find((way) => way !== "context" && login[way] !== undefined);
  if (context !== undefined && other) throw new UsageError(name("context"), `must not be combined with ${name(other)}`);
  const found = context === undefined ? {} : readContext(name("context"), context, env);
  const tls = { ...defined(found.tls ?? {}), ...files };
  const whole: Login = {
    servers: options.nats ?? found.servers ?? serversFrom(env, isGiven),
    ...login,
    ...defined(found),
    ...(Object.keys(tls).length > 0 && { tls }),
  };
  if (options.nats) whole.servers = options.nats;
  check(whole, context === undefined ? name : (setting) => `${setting} of context ${context}`, context, name);
  return whole;
}

function check(
  login: Login,
  say: (setting: string) => string,
  context: string | undefined,
  name: (s: string) => string,
) {
  const [fault] = loginFaults(login, say);
  if (fault) {
    const setting = String(fault.path.findLast((part) => typeof part === "string"));
    if (context === undefined || setting === "servers") throw new UsageError(name(setting), fault.rule);
    throw new UsageError(name("context"), `${context}: ${setting} ${fault.rule}`);
  }
  for (const { setting, file } of loginFiles(login)) {
    try {
      accessSync(file, constants.R_OK);
    } catch (cause) {
      throw new UsageError(say(setting), `can't be read: ${(cause as Error).message}`, { cause });
    }
  }
}

function readContext(option: string, context: string, env: NodeJS.ProcessEnv): Partial<Login> {
  try {
    return readNatsContext(context, contextDirectory(env), env.HOME ?? "");
  } catch (cause) {
    if (cause instanceof NatsContextError) throw new UsageError(option, `${context}: ${cause.message}`, { cause });
    throw cause;
  }
}

function fromOptions(options: LoginOptions): Settings {
  return {
    context: options.context,
    credentials_file: options.creds,
    nkey_file: options.nkey,
    user: options.user,
    password_file: options.passwordFile,
    token_file: options.tokenFile,
    ca_file: options.tlsca,
    cert_file: options.tlscert,
    key_file: options.tlskey,
  };
}

function fromEnvironment(env: NodeJS.ProcessEnv): Settings {
  const variables = Object.entries(NAMES).filter(([setting]) => setting !== "servers");
  return defined(Object.fromEntries(variables.map(([setting, [, variable]]) => [setting, env[variable] || undefined])));
}

/** @param bare without the logins in the addresses, in place of which another is given */
function serversFrom({ SLOTD_NATS: text = "" }: NodeJS.ProcessEnv, bare: boolean): string[] {
  const servers = list(text);
  if (servers.length === 0) return [defaultServer];
  return bare ? servers.map((address) => withoutLogin(address)) : servers;
}

function withoutLogin(address: string): string {
  const url = parseAddress(address);
  return url ? `${url.protocol}//${url.host}` : address;
}

function hasLogin(address: string): boolean {
  return Boolean(parseAddress(address)?.username);
}

function defined<T extends object>(values: T): { [K in keyof T]: T[K] } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
