import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import {
  type Authenticator,
  credsAuthenticator,
  type NodeConnectionOptions,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import { hostOf, loginOf, parseAddress } from "./address.ts";
import type { Login } from "./login-rules.ts";

/** A login as the NATS client takes it. */
export function loginOptions(login: Login): NodeConnectionOptions {
  const urls = login.servers.flatMap((address) => parseAddress(address) ?? []);
  // The client reads neither a scheme nor a login from an address.
  const servers = urls.map(({ host }) => host);
  const authenticator = authenticators(login, urls);
  const tls = tlsOptions(login, urls);
  const { inbox_prefix: inboxPrefix } = login;
  return { servers, authenticator, ...(tls && { tls }), ...(inboxPrefix && { inboxPrefix }) };
}

/**
 * TLS for every server of the list, or for none: servers that the bus names later come without a scheme, so that no
 * list can be mixed.
 */
function tlsOptions({ tls }: Login, urls: readonly URL[]) {
  if (!tls && !urls.some(({ protocol }) => protocol === "tls:")) return undefined;
  return {
    ...(tls?.ca_file && { caFile: tls.ca_file }),
    ...(tls?.cert_file && { certFile: tls.cert_file }),
    ...(tls?.key_file && { keyFile: tls.key_file }),
    ...(tls?.handshake_first && { handshakeFirst: true }),
    checkServerIdentity: identityCheck(urls.map(hostOf)),
  };
}

/**
 * Where a server is known by its IP address, the client names no host, and Node would look for "localhost" in the
 * certificate. The certificate must then be of one of the addresses that were configured.
 */
function identityCheck(hosts: readonly string[]) {
  const addresses = hosts.filter((host) => isIP(host) !== 0);
  return (host: string, certificate: PeerCertificate): Error | undefined => {
    if (host !== "localhost" || addresses.length === 0) return checkServerIdentity(host, certificate);
    const candidates = hosts.includes(host) ? [...addresses, host] : addresses;
    const faults = candidates.map((candidate) => checkServerIdentity(candidate, certificate));
    return faults.includes(undefined) ? undefined : faults[0];
  };
}

/** How a program says who it is. */
function authenticators(login: Login, urls: readonly URL[]): Authenticator[] {
  const { credentials_file, nkey_file, user, password_file, password, token_file, token } = login;
  const secret = (path: string) => () => readFileSync(path, "utf8").trim();
  if (credentials_file) return [(nonce) => credsAuthenticator(readFileSync(credentials_file))(nonce)];
  if (nkey_file) return [nkeyAuthenticator(() => readSeed(nkey_file))];
  if (user) return [usernamePasswordAuthenticator(user, password_file ? secret(password_file) : (password ?? ""))];
  if (token_file || token) return [tokenAuthenticator(token_file ? secret(token_file) : (token as string))];
  return loginInAddress(urls);
}

const SEED = /\bSU[A-Z2-7]{56}\b/;

/** The seed alone, or between lines as `nsc` writes them. */
function readSeed(path: string): Uint8Array {
  const [seed] = SEED.exec(readFileSync(path, "utf8")) ?? [];
  // The content is not repeated: it may be a secret of another kind.
  if (seed === undefined) throw new Error(`${path} holds no seed of a user's NKey`);
  return new TextEncoder().encode(seed);
}

/** As nats-server reads an address: a user with a password, or else a token. */
function loginInAddress(urls: readonly URL[]): Authenticator[] {
  const [login] = urls.flatMap((url) => loginOf(url) ?? []);
  if (!login) return [];
  const { name, password } = login;
  return [password === "" ? tokenAuthenticator(name) : usernamePasswordAuthenticator(name, password)];
}
