import { accessSync, constants } from "node:fs";
import { defaultServer, parseAddress } from "../bus/address.ts";
import { type Login, loginFaults, loginFiles } from "../bus/login-rules.ts";
import { contextDirectory, contextFields, NatsContextError, readNatsContext } from "../bus/nats-context.ts";
import { ArgumentError } from "./errors.ts";
import { type LoginOptions, splitList } from "./options.ts";

/** Setting → the option that sets it, by its name and its key, and the variable that stands in for it. */
const SETTINGS = {
  servers: ["--nats", "nats", "SLOTD_NATS"],
  context: ["--context", "context", "SLOTD_CONTEXT"],
  credentials_file: ["--creds", "creds", "SLOTD_CREDS"],
  nkey_file: ["--nkey", "nkey", "SLOTD_NKEY"],
  user: ["--user", "user", "SLOTD_USER"],
  password_file: ["--password-file", "passwordFile", "SLOTD_PASSWORD_FILE"],
  token_file: ["--token-file", "tokenFile", "SLOTD_TOKEN_FILE"],
  ca_file: ["--tlsca", "tlsca", "SLOTD_TLSCA"],
  cert_file: ["--tlscert", "tlscert", "SLOTD_TLSCERT"],
  key_file: ["--tlskey", "tlskey", "SLOTD_TLSKEY"],
} as const;
type Setting = keyof typeof SETTINGS;

/** What says who one is. On the command line it replaces all of that in the environment. */
const WAYS = ["context", "credentials_file", "nkey_file", "user", "password_file", "token_file"] as const;

/** Setting → its value, and the option or variable that it came by. Several servers are separated by commas. */
type Chosen = Partial<Record<Setting, { value: string; from: string }>>;

/**
 * The login that the options mean, or the environment where they say nothing.
 * @throws ArgumentError naming the option, or the variable, and the rule
 */
export function chooseLogin(options: LoginOptions, env: NodeJS.ProcessEnv): Login {
  const chosen = choose(options, env);
  const { context } = chosen;
  const login = context ? mergeContext(chosen, readContext(context, env)) : toLogin(chosen);
  const short = (setting: string) => {
    const given = chosen[setting as Setting];
    if (given) return given.from;
    return context ? (contextFields[setting] ?? setting) : (SETTINGS[setting as Setting]?.[0] ?? setting);
  };
  const whole = (setting: string) =>
    context && !chosen[setting as Setting] ? `${context.from} ${context.value}: ${short(setting)}` : short(setting);
  check(login, short, whole);
  return login;
}

function choose(options: LoginOptions, env: NodeJS.ProcessEnv): Chosen {
  const given: Chosen = {};
  const standIn: Chosen = {};
  for (const setting of Object.keys(SETTINGS) as Setting[]) {
    const [option, key, variable] = SETTINGS[setting];
    const value = options[key];
    if (value !== undefined) given[setting] = { value: String(value), from: option };
    if (env[variable]) standIn[setting] = { value: env[variable], from: variable };
  }
  const saysWho = WAYS.some((way) => given[way]) || options.nats?.some((address) => parseAddress(address)?.username);
  if (saysWho) {
    for (const way of WAYS) delete standIn[way];
    if (standIn.servers) standIn.servers.value = splitList(standIn.servers.value).map(withoutLogin).join();
  }
  return { ...standIn, ...given };
}

function toLogin(chosen: Chosen): Login {
  const { credentials_file, nkey_file, user, password_file, token_file, ca_file, cert_file, key_file } = chosen;
  const tls = { ca_file: ca_file?.value, cert_file: cert_file?.value, key_file: key_file?.value };
  return {
    servers: serversOf(chosen),
    credentials_file: credentials_file?.value,
    nkey_file: nkey_file?.value,
    user: user?.value,
    password_file: password_file?.value,
    token_file: token_file?.value,
    ...((ca_file || cert_file || key_file) && { tls }),
  };
}

/** A context is a login; the servers of the command line, and TLS settings, override its own. */
function mergeContext(chosen: Chosen, context: Partial<Login>): Login {
  const other = WAYS.find((way) => way !== "context" && chosen[way]);
  if (other)
    throw new ArgumentError(chosen.context?.from as string, `must not be combined with ${chosen[other]?.from}`);
  const overridden = chosen.servers?.from === SETTINGS.servers[0];
  const servers = overridden ? serversOf(chosen) : (context.servers ?? serversOf(chosen));
  const { tls } = toLogin(chosen);
  const merged = {
    ...context.tls,
    ...Object.fromEntries(Object.entries(tls ?? {}).filter(([, file]) => file !== undefined)),
  };
  return { ...context, servers, ...((tls || context.tls) && { tls: merged }) };
}

function serversOf({ servers }: Chosen): string[] {
  const addresses = splitList(servers?.value ?? "");
  return addresses.length > 0 ? addresses : [defaultServer];
}

function withoutLogin(address: string): string {
  const url = parseAddress(address);
  return url ? `${url.protocol}//${url.host}` : address;
}

function readContext(context: { value: string; from: string }, env: NodeJS.ProcessEnv): Partial<Login> {
  try {
    return readNatsContext(context.value, contextDirectory(env), env.HOME ?? "");
  } catch (cause) {
    if (!(cause instanceof NatsContextError)) throw cause;
    throw new ArgumentError(`${context.from} ${context.value}:`, cause.message, { cause });
  }
}

/**
 * @param short a setting as the user knows it
 * @param whole the same, with where it is set
 */
function check(login: Login, short: (setting: string) => string, whole: (setting: string) => string): void {
  const [fault] = loginFaults(login, short);
  if (fault) {
    const setting = fault.path.findLast((part) => typeof part === "string") as string;
    throw new ArgumentError(whole(setting), fault.rule);
  }
  for (const { setting, file } of loginFiles(login)) {
    try {
      accessSync(file, constants.R_OK);
    } catch (cause) {
      throw new ArgumentError(whole(setting), `can't be read: ${(cause as Error).message}`, { cause });
    }
  }
}
