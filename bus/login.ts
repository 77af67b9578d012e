import { readFileSync } from "node:fs";
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import type { NatsConfig } from "./config.ts";

/** Where the bus is, and who we are there. */
export function loginOptions(config: NatsConfig): ConnectionOptions {
  const { tls } = config;
  return {
    servers: serverAddresses(config),
    authenticator: authenticators(config),
    ...(tls && {
      tls: {
        ...(tls.ca_file && { caFile: tls.ca_file }),
        ...(tls.cert_file && { certFile: tls.cert_file }),
        ...(tls.key_file && { keyFile: tls.key_file }),
      },
    }),
  };
}

/** The servers' addresses without logins: the client does not read any from there. */
function serverAddresses({ servers }: NatsConfig): string[] {
  return servers.map((address) => address.replace(/\/\/[^/\s]*@/, "//"));
}

/** How a daemon says who it is. The files are read at each connection, so that a rotated secret is taken up. */
function authenticators(config: NatsConfig): Authenticator[] {
  const { credentials_file, user, password_file, token_file } = config;
  const secret = (path: string) => () => readFileSync(path, "utf8").trim();
  const found: Authenticator[] = [];
  if (credentials_file) found.push((nonce) => credsAuthenticator(readFileSync(credentials_file))(nonce));
  if (user && password_file) found.push(usernamePasswordAuthenticator(user, secret(password_file)));
  if (token_file) found.push(tokenAuthenticator(secret(token_file)));
  return found.length > 0 ? found : loginsInAddresses(config.servers);
}

/** As nats-server reads an address: a user with a password, or else a token. */
function loginsInAddresses(servers: readonly string[]): Authenticator[] {
  const urls = servers.flatMap((address) => (URL.canParse(address) ? [new URL(address)] : []));
  const login = urls.find(({ username }) => username !== "");
  if (!login) return [];
  const name = decodeURIComponent(login.username);
  const password = decodeURIComponent(login.password);
  return [password === "" ? tokenAuthenticator(name) : usernamePasswordAuthenticator(name, password)];
}
