import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { createUser } from "@nats-io/nkeys";
import { endAll } from "../controller-stub/cli.ts";
import { Authority } from "../support/nats/certificates.ts";
import { operatorMode } from "../support/nats/jwt.ts";
import { type Attempt, type NatsSettings, programs } from "../support/nats/programs.ts";
import { startNatsWith } from "../support/nats/with-config.ts";
import { freePorts } from "../support/ports.ts";

const JETSTREAM = "jetstream: { store_dir: $STORE }";
const SECRET = "s3cret-of-a-test";
const ADDRESS = "127.0.1.17";
/** The address that certificates of another server name. */
const ELSEWHERE = "127.0.1.18";

describe("one login for every program", () => {
  let directory: string;
  let authority: Authority;
  let stranger: Authority;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-login-"));
    authority = new Authority();
    stranger = new Authority();
  });
  after(() => {
    authority?.remove();
    stranger?.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  const undo: (() => unknown)[] = [];
  afterEach(async () => {
    await endAll();
    for (const step of undo.splice(0).reverse()) await step();
  });

  /** @returns `HOST:PORT` of a server */
  async function server(...configuration: string[]): Promise<string> {
    const [port] = (await freePorts(1, ADDRESS)) as [number];
    const { stop } = await startNatsWith(port, [JETSTREAM, ...configuration].join("\n"), ADDRESS);
    undo.push(stop);
    return `${ADDRESS}:${port}`;
  }

  function tlsServer(name = `IP:${ADDRESS}`, more = ""): Promise<string> {
    const { cert, key } = authority.issue(name);
    return server(`tls { cert_file: "${cert}", key_file: "${key}", ${more} }`);
  }

  function file(name: string, text: string): string {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  for (const [name, turnTo] of Object.entries(programs)) {
    const connects = async (settings: NatsSettings): Promise<Attempt> => {
      const attempt = await turnTo(settings);
      assert.equal(attempt.refused, null);
      assert(!attempt.output.includes(SECRET), "a secret was shown");
      return attempt;
    };
    const isRefused = async (settings: NatsSettings, why: RegExp) => {
      const { refused, output } = await turnTo(settings);
      assert.match(refused ?? "(connected)", why);
      assert(!output.includes(SECRET), "a secret was shown");
    };

    describe(`the ${name}`, () => {
      it("trusts a server with a certificate of the configured authority", async () => {
        await connects({ servers: [`tls://${await tlsServer()}`], tls: { ca_file: authority.cert } });
      });

      it("refuses a server whose certificate is of another authority", async () => {
        const servers = [`tls://${await tlsServer()}`];
        await isRefused({ servers, tls: { ca_file: stranger.cert } }, /certificate/);
        await isRefused({ servers }, /certificate/);
      });

      it("refuses a server whose certificate is for another address, or only for localhost", async () => {
        for (const wrong of [`IP:${ELSEWHERE}`, "DNS:localhost"]) {
          const servers = [`tls://${await tlsServer(wrong)}`];
          await isRefused({ servers, tls: { ca_file: authority.cert } }, /does not match certificate/);
        }
      });

      it("refuses a server without TLS behind a tls:// address", async () => {
        await isRefused({ servers: [`tls://${await server()}`] }, /the server offers no TLS/);
      });

      it("sends nothing in clear text to a server behind a tls:// address", async () => {
        const { url, received } = await eavesdropper(undo);
        const servers = [url.replace("//", `//anna:${SECRET}@`)];
        await isRefused({ servers }, /the server offers no TLS/);
        assert.equal(received(), "");
      });

      it("takes one tls:// address as meaning all of a list", async () => {
        const plain = await server();
        const tls = { ca_file: authority.cert };
        await isRefused({ servers: [`nats://${plain}`, `tls://${ELSEWHERE}:4`], tls }, /offers no TLS|refused/);
        const { output } = await connects({ servers: [`nats://${plain}`, `tls://${await tlsServer()}`], tls });
        assert(!output.includes(`"server":"${plain}"`));
      });

      it("shows a client certificate where the server asks for one", async () => {
        const verify = `ca_file: "${authority.cert}", verify: true`;
        const servers = [`tls://${await tlsServer(`IP:${ADDRESS}`, verify)}`];
        const { cert, key } = authority.issue("DNS:client");
        await connects({ servers, tls: { ca_file: authority.cert, cert_file: cert, key_file: key } });
        await isRefused({ servers, tls: { ca_file: authority.cert } }, /certificate|closed|timeout|no answer/);
      });

      it("is a user with a password", async () => {
        const servers = [await server(`authorization: { users: [ { user: anna, password: "${SECRET}" } ] }`)];
        await connects({ servers, user: "anna", password_file: file("password", `${SECRET}\n`) });
        await isRefused({ servers, user: "anna", password_file: file("wrong", `not-${SECRET}`) }, /authoriz/i);
      });

      it("is a token", async () => {
        const servers = [await server(`authorization: { token: "${SECRET}" }`)];
        await connects({ servers, token_file: file("token", SECRET) });
      });

      it("is an NKey, whose seed may stand alone or between lines", async () => {
        const user = createUser();
        const seed = new TextDecoder().decode(user.getSeed());
        const servers = [await server(`authorization: { users: [ { nkey: ${user.getPublicKey()} } ] }`)];
        const framed = `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
        for (const text of [`${seed}\n`, framed]) {
          const { output } = await connects({ servers, nkey_file: file("seed", text) });
          assert(!output.includes(seed));
        }
        await isRefused({ servers, nkey_file: file("no-seed", SECRET) }, /holds no seed/);
      });

      it("is a credentials file", async () => {
        const { configuration, credentials } = operatorMode();
        const [port] = (await freePorts(1, ADDRESS)) as [number];
        const { stop } = await startNatsWith(port, configuration, ADDRESS);
        undo.push(stop);
        await connects({ servers: [`${ADDRESS}:${port}`], credentials_file: file("user.creds", credentials) });
      });
    });
  }
});

/** A server that says it has no TLS, and notes what it is sent. */
async function eavesdropper(undo: (() => unknown)[]): Promise<{ url: string; received(): string }> {
  let received = "";
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    const info = { server_id: "x", version: "2.9.10", proto: 1, max_payload: 1024, headers: true };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (bytes) => {
      received += bytes.toString("latin1");
    });
    socket.on("error", () => {});
  });
  listener.listen(0, ADDRESS);
  await once(listener, "listening");
  undo.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => listener.close(resolve));
  });
  const { port } = listener.address() as AddressInfo;
  return { url: `tls://${ADDRESS}:${port}`, received: () => received };
}
