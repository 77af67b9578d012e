import { addressRule, loginOf, parseAddress } from "./address.ts";

/**
 * Where the bus is, and who a program is there: one set of settings for the agent, the edge and the controller. Files
 * are read at each connection, so that a rotated secret takes effect.
 */
export interface Login {
  /** `nats://HOST:PORT`, `tls://HOST:PORT` or `HOST:PORT`. A single `tls://` among them means TLS for all of them. */
  servers: readonly string[];
  /** A `.creds` file of an operator-mode account. */
  credentials_file?: string | undefined;
  /** A file with the seed of an NKey. */
  nkey_file?: string | undefined;
  user?: string | undefined;
  password_file?: string | undefined;
  token_file?: string | undefined;
  /** Given at all, even empty, it means TLS. */
  tls?: LoginTls | undefined;
  /** From a context file of the `nats` command, which has these two in clear text. */
  password?: string | undefined;
  token?: string | undefined;
  /** Where answers arrive, for users who may not subscribe to `_INBOX.>`. */
  inbox_prefix?: string | undefined;
}

export interface LoginTls {
  ca_file?: string | undefined;
  cert_file?: string | undefined;
  key_file?: string | undefined;
  /** The server speaks TLS from the first byte. */
  handshake_first?: boolean | undefined;
}

/** A setting, and the rule that it breaks. */
export interface LoginFault {
  path: (string | number)[];
  rule: string;
}

/**
 * What is wrong with a login. Does not read its files.
 * @param say how the caller's users know a setting; by default as it is called in `[nats]`
 */
export function loginFaults(login: Login, say: (setting: string) => string = (setting) => setting): LoginFault[] {
  const faults: LoginFault[] = [];
  const refuse = (path: (string | number)[], rule: string) => faults.push({ path, rule });
  login.servers.forEach((address, index) => {
    const rule = addressFault(address);
    if (rule !== null) refuse(["servers", index], rule);
  });
  const { user, password, password_file: passwordFile, tls } = login;
  if (user !== undefined && passwordFile === undefined && password === undefined)
    refuse(["password_file"], `is required with ${say("user")}`);
  if (passwordFile !== undefined && user === undefined) refuse(["user"], `is required with ${say("password_file")}`);
  if (tls?.cert_file && !tls.key_file) refuse(["tls", "key_file"], `is required with ${say("cert_file")}`);
  if (tls?.key_file && !tls.cert_file) refuse(["tls", "cert_file"], `is required with ${say("key_file")}`);
  const [first, second] = waysIn(login);
  if (first && second)
    refuse([first], `must not be combined with ${second === IN_ADDRESS ? second : say(second)}: use one login`);
  return faults;
}

/** Which rule an address breaks. It is not repeated: in one that can't be read, nobody knows where the login ends. */
function addressFault(address: string): string | null {
  const url = parseAddress(address);
  if (!url) return addressRule;
  try {
    return loginOf(url)?.name === "" ? "has a password without a user" : null;
  } catch {
    return "has a % in its login that begins no escape: write it as %25";
  }
}

const IN_ADDRESS = "a login in the server's address";

/** Which logins are given. A bus takes one. */
function waysIn(login: Login): string[] {
  const { credentials_file, nkey_file, user, token_file, token, servers } = login;
  const given = { credentials_file, nkey_file, user, token_file, token };
  const ways = Object.entries(given).flatMap(([setting, value]) => (value === undefined ? [] : [setting]));
  return servers.some((address) => hasLogin(address)) ? [...ways, IN_ADDRESS] : ways;
}

function hasLogin(address: string): boolean {
  const { username, password } = parseAddress(address) ?? {};
  return Boolean(username || password);
}

/** The files that a login is read from. */
export function loginFiles({ credentials_file, nkey_file, password_file, token_file, tls }: Login): LoginFile[] {
  const files: Record<string, string | undefined> = { credentials_file, nkey_file, password_file, token_file };
  const { ca_file, cert_file, key_file } = tls ?? {};
  return Object.entries({ ...files, ca_file, cert_file, key_file }).flatMap(([setting, file]) =>
    file === undefined ? [] : [{ setting, file }],
  );
}

export interface LoginFile {
  setting: string;
  file: string;
}
