import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Release } from "../../protocol/release.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { slotd } from "../support/slotd.ts";

const PASSWORD = "pa55word";
const SIGNATURE = "s1gned";

describe("the agent's own files", () => {
  const hosts = useHosts();

  it("lie in a directory that nobody else can write to, or it does not start", async () => {
    const host = await hosts.create();
    mkdirSync(host.state);
    chmodSync(host.state, 0o777);
    const { code, stderr } = await slotd("--config", host.configFile);
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^error CONFIG_INVALID: configuration: state_directory can't be trusted: it can be written to by/,
    );
  });

  it("are its user's alone where they hold the address of a release, which may hold a login", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    await host.installed("a", one as Release);
    for (const path of ["journal.json", "token", "lock", "releases/1/release.json"])
      assert.equal(statSync(join(host.state, path)).mode & 0o777, 0o600, path);
    // As an earlier version left it.
    chmodSync(join(host.state, "releases/1/release.json"), 0o644);
    await host.endAgent("SIGUSR2");
    await host.startAgent();
    assert.equal(statSync(join(host.state, "releases/1/release.json")).mode & 0o777, 0o600);
    assert.deepEqual(
      readdirSync(host.state).filter((name) => statSync(join(host.state, name)).mode & 0o022),
      [],
    );
  });

  it("are alone in knowing a login in that address: no status, event or log shows it", async () => {
    const host = await hosts.start();
    const server = createServer((_, response) => response.writeHead(403).end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.2", resolve));
    hosts.onEnd(() => server.close());
    const { port } = server.address() as AddressInfo;
    const [one] = await appReleases(host, "1");
    const url = `http://anna:${PASSWORD}@127.0.0.2:${port}/1.tar.gz?X-Signature=${SIGNATURE}`;
    const order = await host.install("a", { ...(one as Release), url });
    const { lastError } = await host.untilOrder("a", order);
    assert.match(lastError?.message ?? "", /http:\/\/\*\*\*@127\.0\.0\.2:\d+\/1\.tar\.gz\?\*\*\*/);
    const malformed = await host.install("b", { ...(one as Release), url: `${url} x`, sizeBytes: -1 });
    await host.untilSlot("b", "has refused the order", ({ refused }) => refused?.orderId === malformed);
    for (const text of [JSON.stringify(await host.status()), JSON.stringify(await host.events()), host.log()]) {
      assert(!text.includes(PASSWORD), text);
      assert(!text.includes(SIGNATURE), text);
    }
  });
});
