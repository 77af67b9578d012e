import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../support/nats/server.ts";
import { connectTo, hostStatus, slotStatus } from "./fake-host.ts";
import { runHere } from "./in-process.ts";

/** Writes a terminal's clipboard, clears it, begins a line, turns text round. */
const EVIL = "\u001b]52;c;cm0gLXJm\u0007\u001b[2J\u009b2J\r\nerror FORGED: x\u202e";
const AT = "2026-01-01T00:00:00.000Z";

let nats: NatsServer;
let bus: BusSession;

/** Everything about a service that lets anybody say something. */
async function writeEvil(): Promise<void> {
  const error = { code: `E${EVIL}`, message: EVIL, orderId: `o${EVIL}` };
  const order = { id: "o", epoch: 1, action: "install", version: "1", outcome: "failed", error } as const;
  const progress = { step: EVIL, done: 1, total: 2, unit: "bytes" } as const;
  const slots = { a: slotStatus("a", { order, progress, refused: error, lastError: error }) };
  const status = hostStatus("web", "h1", { slots, agentVersion: EVIL, warnings: [EVIL], lastError: error });
  const edge = {
    ...{ service: "web", edge: "e1", proxy: EVIL, appliedRoutes: 0, appliedServersets: 0, epoch: 0, serving: [] },
    ...{ default: "1", at: AT, leaseMs: 15_000, endpoints: 0, heldBack: 0, problems: [error] },
  };
  const plan = {
    ...{ wave: { hosts: 1 }, maxFailures: 0, pauseMs: 0, canaryStage: null, only: [], exclude: [] },
    ...{ excludeAbsent: false, withoutEdges: [] },
  };
  const release = { version: "1", url: "file:///x", sha256: "a".repeat(64), sizeBytes: 1 };
  const deploy = {
    ...{ id: EVIL, version: "1", release, step: "installing", goal: "promote", rollback: null, withdrawn: [], plan },
    ...{ from: { default: null, serving: [], releases: {} }, by: EVIL, message: EVIL, startedAt: AT, endedAt: null },
    halted: { code: EVIL, message: EVIL, at: AT },
    hosts: { h1: { step: "failed", slot: "a", wave: 0, was: null, error: { code: EVIL, message: EVIL } } },
  };
  const revisions = [{ version: "1", sha256: "a".repeat(64), by: EVIL, message: EVIL, at: AT }];
  const lock = { holder: EVIL, token: "t", epoch: 1, since: AT, leaseMs: 300, renewals: 0 };
  const put = async (bucket: (typeof buckets)[keyof typeof buckets], key: string, value: unknown) =>
    (await openBucket(bus, bucket)).put(key, JSON.stringify(value));
  await put(buckets.hosts, keys.host("web", "h1"), status);
  await put(buckets.hosts, keys.host("web", "h2"), { [EVIL]: EVIL });
  await put(buckets.edges, keys.edge("web", "e1"), edge);
  await put(buckets.edges, keys.edge("web", "e2"), { ...edge, edge: "e2", [EVIL]: 1 });
  await put(buckets.deploys, keys.deploy("web"), { service: "web", epoch: 1, lock, deploy, revisions });
}

describe("text from outside", () => {
  before(async () => {
    nats = await startNats();
    bus = await connectTo(nats.url);
    await writeEvil();
  });
  after(async () => {
    await bus?.close();
    await nats?.stop();
  });

  const verbs = [
    ["status", "web"],
    ["status", "web", "--watch", "--timeout", "200"],
    ["watch", "web", "--timeout", "200"],
    ["hosts", "web"],
    ["edges", "web"],
    ["revisions", "web"],
    ["deploy", "web", "1"],
    ["promote", "web"],
    ["resume", "web", "--timeout", "200", "--barrier-timeout", "200", "--lease", "200"],
    ["repair", "web"],
    [`bad${EVIL}verb`],
  ];
  for (const args of verbs) {
    for (const more of [[], ["--json"]]) {
      it(`steers no terminal: ${[args[0]?.slice(0, 3), ...args.slice(1), ...more].join(" ")}`, async () => {
        const { stdout, stderr } = await runHere(nats.url, [...args, ...more]);
        assert.notEqual(stdout + stderr, "");
        assert.doesNotMatch(stdout + stderr, /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/u);
        assert.doesNotMatch(stderr + stdout, /^error FORGED/m);
      });
    }
  }
});
