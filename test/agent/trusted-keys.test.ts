import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Release } from "../../protocol/release.ts";
import { formatPublicKey, signRelease } from "../../protocol/signature.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { standing } from "../support/agent/orders.ts";
import { fixtureApps } from "../support/release.ts";
import { serve } from "./releases/support/archive-server.ts";
import { packTree } from "./releases/support/packing.ts";

const keyPair = () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { text: formatPublicKey(publicKey), privateKey };
};
const [own, next, other] = [keyPair(), keyPair(), keyPair()];
const app = readFileSync(join(fixtureApps, "app.mjs"), "utf8");

async function unsigned(host: Host, version: string): Promise<Release> {
  return (await packTree(host.archives, version, { "app.mjs": app, "version.txt": version })).release;
}

function sign(release: Release, ...keys: KeyObject[]): Release {
  const digests = [release.sha256, ...(release.deltas ?? []).map(({ sha256 }) => sha256)];
  const { version, tree = "" } = release;
  return { ...release, digests, signatures: keys.map((key) => signRelease({ version, tree, digests }, key)) };
}

describe("a host that trusts keys", () => {
  const hosts = useHosts();
  const trusting = (...keys: { text: string }[]) => ({
    app: { workers: 4 },
    releases: { trusted_keys: keys.map(({ text }) => text) },
  });

  async function refused(host: Host, slot: string, release: Release): Promise<void> {
    const { order } = await host.untilOrder(slot, await host.install(slot, release));
    assert.equal(order?.error?.code, "RELEASE_UNTRUSTED", JSON.stringify(order));
  }

  it("refuses what none of them signed before a byte is fetched, and what serves is as it was", async () => {
    const host = await hosts.start(trusting(own));
    await host.installed("a", sign(await unsigned(host, "1"), own.privateKey));
    const before = await standing(host, "a");
    const server = await serve((response) => response.end("x"));
    hosts.onEnd(() => server.close());
    const two = { ...(await unsigned(host, "2")), url: `${server.origin}/2.tar.gz` };
    const good = sign(two, own.privateKey);
    const wrong: Release[] = [
      two,
      sign(two, other.privateKey),
      { ...good, sha256: "0".repeat(64) },
      { ...good, sha256: "0".repeat(64), digests: ["0".repeat(64)] },
      { ...good, tree: "0".repeat(64) },
      { ...good, version: "3" },
      { ...good, deltas: [{ base: two.tree ?? "", url: two.url, sha256: "0".repeat(64), sizeBytes: 1 }] },
      { ...good, signatures: [{ ...(good.signatures?.[0] as { key: string }), value: `${"A".repeat(86)}==` }] },
    ];
    for (const release of wrong) {
      await refused(host, "a", release);
      await refused(host, "b", release);
      assert.deepEqual(await standing(host, "a"), before);
    }
    assert.equal(server.requests.length, 0);
  });

  it("takes releases of the old key and of the new one while it lists both", async () => {
    const host = await hosts.start(trusting(own, next));
    await host.installed("a", sign(await unsigned(host, "1"), own.privateKey));
    await host.installed("b", sign(await unsigned(host, "2"), next.privateKey));
    await host.installed("a", sign(await unsigned(host, "3"), own.privateKey, next.privateKey));
    await refused(host, "b", sign(await unsigned(host, "4"), other.privateKey));
  });

  it("brings back what is in its slots, and puts it into no other one, when it has come to trust another key", async () => {
    const host = await hosts.start(trusting(own));
    const one = sign(await unsigned(host, "1"), own.privateKey);
    await host.installed("a", one);
    await host.endAgent("SIGTERM");
    host.configure(trusting(next));
    await host.startAgent();
    const serves = ({ state, workers }: { state: string; workers: { ready: number } }) =>
      state === "serving" && workers.ready === 2;
    await host.untilSlot("a", "serves", serves);
    const before = await standing(host, "a");
    await refused(host, "b", one);
    assert.deepEqual(await standing(host, "a"), before);
  });
});
