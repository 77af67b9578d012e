import { createAccount, createOperator, createUser, type KeyPair } from "@nats-io/nkeys";

const UNLIMITED = { subs: -1, data: -1, payload: -1 };

/**
 * A server's configuration in operator mode with one account that has JetStream, and the credentials file of a user of
 * it.
 */
export function operatorMode(): { configuration: string; credentials: string } {
  const [operator, system, account, user] = [createOperator(), createAccount(), createAccount(), createUser()];
  const limits = { ...UNLIMITED, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accounts = [
    [system, jwt(operator, system, { type: "account", limits })],
    [account, jwt(operator, account, { type: "account", limits: { ...limits, ...jetstream } })],
  ] as const;
  const preload = accounts.map(([key, token]) => `  ${key.getPublicKey()}: ${token}`).join("\n");
  const configuration = [
    `operator: ${jwt(operator, operator, { type: "operator", system_account: system.getPublicKey() })}`,
    `system_account: ${system.getPublicKey()}`,
    "resolver: MEMORY",
    `resolver_preload: {\n${preload}\n}`,
    "jetstream: { store_dir: $STORE }",
  ].join("\n");
  const seed = new TextDecoder().decode(user.getSeed());
  const token = jwt(account, user, { type: "user", ...UNLIMITED });
  const credentials = `-----BEGIN NATS USER JWT-----\n${token}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  return { configuration, credentials };
}

/** A NATS JWT, version 2: https://github.com/nats-io/jwt. */
function jwt(issuer: KeyPair, subject: KeyPair, nats: Record<string, unknown>): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = part({ typ: "JWT", alg: "ed25519-nkey" });
  const sub = subject.getPublicKey();
  const body = part({
    jti: sub,
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub,
    name: "test",
    nats: { version: 2, ...nats },
  });
  const signature = Buffer.from(issuer.sign(Buffer.from(`${head}.${body}`))).toString("base64url");
  return `${head}.${body}.${signature}`;
}
