import { readFileSync } from "node:fs";
import {
  type Authenticator,
  type ConnectionOptions,
  credsAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from "@nats-io/transport-node";
import type { Config } from "../config/schema.ts";

/** Where the bus is, and who the edge is there. The files are read at each connection, so that a rotated secret is taken up. */
export function loginOptions(config: Config["nats"]): ConnectionOptions {
  const { tls, servers, credentials_file, user, password_file, token_file } = config;
  const secret = (path: string) => () => readFileSync(path, "utf8").trim();
  const found: Authenticator[] = [];
  if (credentials_file) found.push((nonce) => credsAuthenticator(readFileSync(credentials_file))(nonce));
  if (user && password_file) found.push(usernamePasswordAuthenticator(user, secret(password_file)));
  if (token_file) found.push(tokenAuthenticator(secret(token_file)));
  return {
    // The client reads no login from an address.
    servers: servers.map((address) => address.replace(/\/\/[^/\s]*@/, "//")),
    authenticator: found.length > 0 ? found : loginInAddresses(servers),
    ...(tls && {
      tls: {
        ...(tls.ca_file && { caFile: tls.ca_file }),
        ...(tls.cert_file && { certFile: tls.cert_file }),
        ...(tls.key_file && { keyFile: tls.key_file }),
      },
    }),
  };
}

/** As nats-server reads an address: a user with a password, or else a token. */
function loginInAddresses(servers: readonly string[]): Authenticator[] {
  const urls = servers.flatMap((address) => (URL.canParse(address) ? [new URL(address)] : []));
  const login = urls.find(({ username }) => username !== "");
  if (!login) return [];
  const name = decodeURIComponent(login.username);
  const password = decodeURIComponent(login.password);
  return [password === "" ? tokenAuthenticator(name) : usernamePasswordAuthenticator(name, password)];
}
