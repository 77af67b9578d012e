import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { Host } from "../support/agent/host.ts";
import { operatorMode } from "../support/nats/jwt.ts";
import { type ConfiguredNats, startNatsWith } from "../support/nats/with-config.ts";
import { freePorts } from "../support/ports.ts";
import { until } from "../support/until.ts";

const JETSTREAM = "jetstream: { store_dir: $STORE }";
const SECRET = "s3cret-pass";

describe("the way onto the bus", () => {
  const undo: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });

  async function bus(configuration: string, port?: number): Promise<ConfiguredNats & { port: number }> {
    const [free] = await freePorts(1);
    const at = port ?? (free as number);
    const server = await startNatsWith(at, configuration);
    undo.push(() => server.stop());
    return { ...server, port: at };
  }

  /** A host with files beside its configuration, its agent started. */
  async function start(url: string, nats: (host: Host) => object, files: Record<string, string> = {}): Promise<Host> {
    const host = await Host.create({ nats: url });
    undo.push(() => host.close());
    for (const [name, text] of Object.entries(files)) writeFileSync(join(host.directory, name), text);
    host.configure({ nats: nats(host) });
    await host.startAgent();
    return host;
  }

  const untilConnected = (host: Host) =>
    until("the agent has the bus", async () => (await host.status()).bus.connected);
  const untilError = (host: Host, error: RegExp) =>
    until(`the status says ${error}`, async () => error.test((await host.status()).bus.error ?? ""));
  const in_ = (name: string) => (host: Host) => join(host.directory, name);

  function saysNoSecret(host: Host): void {
    assert(!host.log().includes(SECRET));
  }

  it("is a user with a password from a file", async () => {
    const { url } = await bus(`${JETSTREAM}\nauthorization: { users: [ { user: anna, password: "${SECRET}" } ] }`);
    const settings = (host: Host) => ({ user: "anna", password_file: in_("password")(host) });
    const host = await start(url, settings, { password: `${SECRET}\n` });
    await untilConnected(host);
    saysNoSecret(host);
  });

  it("is a token from a file", async () => {
    const { url } = await bus(`${JETSTREAM}\nauthorization: { token: "${SECRET}" }`);
    const host = await start(url, (h) => ({ token_file: in_("token")(h) }), { token: SECRET });
    await untilConnected(host);
    saysNoSecret(host);
  });

  it("is a user with a password, or a token, in the server's address, which is shown nowhere", async () => {
    const ways = [
      [`authorization: { users: [ { user: anna, password: "${SECRET}" } ] }`, `//anna:${SECRET}@`],
      [`authorization: { token: "${SECRET}" }`, `//${SECRET}@`],
    ] as const;
    for (const [authorization, login] of ways) {
      const { url } = await bus(`${JETSTREAM}\n${authorization}`);
      const host = await start(url, () => ({ servers: [url.replace("//", login)] }));
      await untilConnected(host);
      assert(!JSON.stringify(await host.status()).includes(SECRET));
      saysNoSecret(host);
    }
  });

  it("is a credentials file of an operator's account", async () => {
    const { configuration, credentials } = operatorMode();
    const { url } = await bus(configuration);
    const host = await start(url, (h) => ({ credentials_file: in_("user.creds")(h) }), { "user.creds": credentials });
    await untilConnected(host);
    assert(!host.log().includes(/SU[A-Z0-9]{50,}/.exec(credentials)?.[0] as string));
  });

  it("is tried for ever with what the server refuses, told in the status, and found when the file is put right", async () => {
    const { url } = await bus(`${JETSTREAM}\nauthorization: { users: [ { user: anna, password: "${SECRET}" } ] }`);
    const settings = (host: Host) => ({ user: "anna", password_file: in_("password")(host) });
    const host = await start(url, settings, { password: `not-${SECRET}` });
    await untilError(host, /authoriz/i);
    writeFileSync(join(host.directory, "password"), SECRET);
    await untilConnected(host);
    saysNoSecret(host);
  });

  it("is told in the status where its file is missing, and found when the file is there", async () => {
    const { url } = await bus(`${JETSTREAM}\nauthorization: { token: "${SECRET}" }`);
    const host = await start(url, (h) => ({ token_file: in_("token")(h) }));
    await untilError(host, /token.*no such file|no such file.*token/i);
    writeFileSync(join(host.directory, "token"), SECRET);
    await untilConnected(host);
  });

  it("survives a login that is revoked and given again", async () => {
    const { url, port, stop } = await bus(`${JETSTREAM}\nauthorization: { token: "${SECRET}" }`);
    const host = await start(url, (h) => ({ token_file: in_("token")(h) }), { token: SECRET });
    await untilConnected(host);
    await stop();
    undo.pop();
    undo.pop();
    undo.push(() => host.close());
    const other = await startNatsWith(port, `${JETSTREAM}\nauthorization: { token: "another" }`);
    try {
      await until("the agent was refused", async () => /authoriz|lost/i.test((await host.status()).bus.error ?? ""));
      writeFileSync(join(host.directory, "token"), "another");
      await untilConnected(host);
    } finally {
      await other.stop();
    }
    await until("the agent misses the bus", async () => !(await host.status()).bus.connected);
    assert.equal((await host.status()).slots.a?.state, "empty");
  });

  it("is no use without JetStream: the status says so, and it is tried again", async () => {
    const { url, port, stop } = await bus("");
    const host = await start(url, () => ({}));
    await untilError(host, /jetstream/i);
    undo.splice(0, 1);
    await stop();
    await bus(JETSTREAM, port);
    await untilConnected(host);
  });

  it("keeps no copies that the servers can't keep: the status says so", async () => {
    const { url } = await bus(JETSTREAM);
    const host = await start(url, () => ({ replicas: 3 }));
    await untilError(host, /replicas/i);
    assert.equal((await host.status()).bus.connected, false);
  });
});
