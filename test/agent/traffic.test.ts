import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { MemberWatch } from "../support/fleet/member-watch.ts";
import { Load } from "../support/load/load.ts";
import { Nginx } from "../support/proxies/nginx.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

const REPLACEMENTS = 4;

describe("traffic while versions are replaced", () => {
  const hosts = useHosts();

  /** A host with versions 1 and 2 side by side, and the serverset as an edge sees it. */
  const twoVersions = async (settings: Record<string, unknown>) => {
    const host = await hosts.start(settings);
    await host.installed("a", await release(host, 1));
    await host.installed("b", await release(host, 2));
    const watch = await MemberWatch.start(host);
    hosts.onEnd(() => watch.stop());
    await until("both versions are registered", () => watch.alive().size === 2);
    return { host, watch };
  };
  const release = (host: Host, version: number) => makeRelease(host.archives, String(version), { app: "app.mjs" });

  /** Replaces the older version in turn; each new one must have got requests before the next comes. */
  const replaceAll = async (host: Host, versionsSeen: () => Set<string>) => {
    for (let version = 3; version < 3 + REPLACEMENTS; version++) {
      await host.installed(version % 2 === 1 ? "a" : "b", await release(host, version));
      await until(`version ${version} gets requests`, () => versionsSeen().has(String(version)));
    }
  };

  it("has no error on GETs and POSTs over nginx's persistent connections to the app", async () => {
    const { host, watch } = await twoVersions({ drain: { pause_ms: 500, quiet_ms: 200 } });
    const nginx = await Nginx.start(watch);
    hosts.onEnd(() => nginx.stop());
    const target = () => ({ host: "127.0.0.1", port: nginx.port });
    // nginx itself closes a client's idle connections when it is reloaded; so each request here has one of its own.
    const loads = (["GET", "POST"] as const).map((method) => new Load({ target, method, clients: 3 }));
    hosts.onEnd(() => Promise.all(loads.map((load) => load.stop())));
    await replaceAll(host, () => new Set(loads.flatMap((load) => [...load.versions.keys()])));
    await Promise.all(loads.map((load) => load.stop()));
    for (const load of loads) {
      assert.deepEqual(load.failures, [], nginx.errors());
      assert(load.requests > 100);
    }
    const { lastDrain } = await host.slot("a");
    assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests], ["idle", 0]);
  });

  it("has no reset on clients' own keep-alive connections where they leave when the member is withdrawn", async () => {
    const { host, watch } = await twoVersions({ drain: { pause_ms: 300, quiet_ms: 200 } });
    const leaving = (prefer: number) => () => {
      const endpoints = [...watch.alive().values()].map(({ serviceEndpoint }) => serviceEndpoint);
      return endpoints[prefer % Math.max(1, endpoints.length)] ?? null;
    };
    const loads = [0, 1].flatMap((prefer) =>
      (["GET", "POST"] as const).map(
        (method) => new Load({ target: leaving(prefer), keepAlive: true, method, clients: 2 }),
      ),
    );
    hosts.onEnd(() => Promise.all(loads.map((load) => load.stop())));
    await replaceAll(host, () => new Set(loads.flatMap((load) => [...load.versions.keys()])));
    await Promise.all(loads.map((load) => load.stop()));
    assert.deepEqual(
      loads.flatMap((load) => load.failures),
      [],
    );
  });

  /** A host whose only worker was stopped, with a request that waits for it. */
  const withQueuedRequest = async () => {
    const host = await hosts.start({ app: { workers: 2 } });
    await host.installed("a", await release(host, 1));
    const [pid] = (await host.pids("a")) as [number];
    process.kill(pid, "SIGSTOP");
    const answer = host.get("a");
    await host.untilSlot("a", "has it in the queue", ({ connections }) => (connections?.inFlight ?? 0) > 0);
    return { host, pid, answer };
  };

  it("waits for a request that is queued but not accepted yet", async () => {
    const { host, pid, answer: queued } = await withQueuedRequest();
    const id = await host.uninstall("a", "1");
    await host.untilSlot("a", "waits for it", ({ progress }) => progress?.step === "waiting for requests");
    process.kill(pid, "SIGCONT");
    assert.equal((await queued).version, "1");
    const { lastDrain } = await host.untilOrder("a", id);
    assert.deepEqual([lastDrain?.idle, lastDrain?.cutRequests], ["idle", 0]);
  });

  it("keeps a queued request for the next worker when the only one crashes", async () => {
    const { pid, answer: queued } = await withQueuedRequest();
    process.kill(pid, "SIGKILL");
    const answer = await queued;
    assert.equal(answer.version, "1");
    assert.notEqual(answer.pid, pid);
  });
});
