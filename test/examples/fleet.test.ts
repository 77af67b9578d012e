import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { DrainRecord } from "../../protocol/host-status.ts";
import { pidsWithEnvironment } from "../support/agent/host.ts";
import { until } from "../support/until.ts";

const MAIN = fileURLToPath(new URL("../../examples/fleet/main.js", import.meta.url));
/** Beside other tests everything takes longer than on a machine that is free. */
const LONGEST_MS = 500_000;

interface Said {
  demo: string;
  hosts: number;
  edges: { name: string; kind: string }[];
  requests: number;
  failed: number;
  failures: Record<string, number>;
  wrongVersion: number;
  reloadsPerUserMax: number;
  flipFlops: number;
  brokenPages: number;
  byVersion: Record<string, number>;
  deploys: { version: string; seconds: number; steps: { step: string; seconds: number }[]; reloads: number }[];
  rollbackSeconds: number;
  drains: DrainRecord[];
  oldWay: { requests: number; reloads: number; flipFlops: number; wrongVersion: number } | { leftOut: string };
}

/** The demo, with temporary files in a directory of its own; all that it starts carries a mark in its environment. */
class Demo {
  stdout = "";
  stderr = "";
  readonly ended: Promise<number | null>;

  private constructor(
    readonly directory: string,
    readonly child: ChildProcess,
  ) {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = once(child, "close").then(([code]) => code as number | null);
  }

  static async start(): Promise<Demo> {
    const directory = await mkdtemp(join(tmpdir(), "slotd-demo-"));
    // The compiler of varnishd is another user.
    await chmod(directory, 0o755);
    const env = { ...process.env, TMPDIR: directory };
    return new Demo(directory, spawn(process.execPath, [MAIN, "--json"], { stdio: ["ignore", "pipe", "pipe"], env }));
  }

  get left(): number[] {
    return pidsWithEnvironment(`TMPDIR=${this.directory}`);
  }

  /** What is still there, once the demo has ended. */
  async leftOver(): Promise<unknown[]> {
    return [...this.left, ...(await readdir(this.directory))];
  }

  async close(): Promise<void> {
    await until("nothing of the demo is left", () => {
      const { left } = this;
      for (const pid of left) process.kill(pid, "SIGKILL");
      return left.length === 0;
    });
    await rm(this.directory, { recursive: true, force: true });
  }
}

describe("the fleet's demo", () => {
  let demo: Demo | undefined;
  afterEach(async () => {
    await demo?.close();
    demo = undefined;
  });

  it("takes a fleet through four versions and a rollback without a failed request, and leaves nothing behind", {
    timeout: LONGEST_MS,
  }, async () => {
    demo = await Demo.start();
    const code = await demo.ended;
    const said = JSON.parse(demo.stdout.trim().split("\n").at(-1) ?? "") as Said;
    const { failed, failures, wrongVersion, flipFlops, brokenPages, reloadsPerUserMax } = said;
    assert.deepEqual(
      { failed, failures, wrongVersion, flipFlops, brokenPages, reloadsPerUserMax },
      { failed: 0, failures: {}, wrongVersion: 0, flipFlops: 0, brokenPages: 0, reloadsPerUserMax: 1 },
      demo.stderr,
    );
    assert.equal(code, 0, demo.stderr);
    assert.deepEqual([said.demo, said.hosts, said.edges.length], ["fleet", 6, 2]);
    assert(said.requests > 1_000, String(said.requests));
    const versions = ["1.0.0", "2.0.0", "3.0.0", "4.0.0"];
    assert.deepEqual(Object.keys(said.byVersion).sort(), versions);
    assert.deepEqual(
      said.deploys.map(({ version }) => version),
      versions,
    );
    for (const { steps, version } of said.deploys) {
      assert.deepEqual(
        steps.map(({ step }) => step),
        ["withdrawing", "draining", "installing", "offering", "waiting", "prepared", "promoting"],
        version,
      );
    }
    // Who has a version open is moved when it leaves, and at no other time.
    assert.deepEqual(
      said.deploys.map(({ reloads }) => reloads),
      [0, 0, 20, 40],
    );
    assert(said.rollbackSeconds > 0 && said.rollbackSeconds < 30, String(said.rollbackSeconds));
    if (!("leftOut" in said.oldWay)) assert(said.oldWay.wrongVersion > 0 && said.oldWay.reloads > 0);
    assert.deepEqual([said.drains.length, said.drains.reduce((sum, { cutRequests }) => sum + cutRequests, 0)], [12, 0]);
    assert.match(demo.stderr, /wave 3 of 3: \d of 2 hosts done/);
    assert.match(demo.stderr, /2 edges acknowledged routes \d+, \d+ ms/);
    assert.match(demo.stderr, /requests per second by the version that answered/);
    assert(!demo.stderr.includes("\x1b"), "no colours without a terminal");
    assert.deepEqual(await demo.leftOver(), []);
  });

  for (const { signal, when, line } of [
    { signal: "SIGTERM", when: "agents are being started", line: "nats-server at" },
    { signal: "SIGINT", when: "hosts are being changed", line: "installing" },
  ] as const) {
    it(`leaves nothing behind when ${signal} ends it while ${when}`, { timeout: LONGEST_MS }, async () => {
      const ours = await Demo.start();
      demo = ours;
      const told = () => {
        if (ours.stderr.includes(line)) return true;
        throw new Error(ours.stderr);
      };
      await until(`the demo says ${line}`, told, { timeoutMs: 200_000 });
      ours.child.kill(signal);
      assert.equal(await ours.ended, 1, ours.stderr);
      assert.match(ours.stderr, new RegExp(`error: ended by ${signal}\\n$`));
      assert.deepEqual(JSON.parse(ours.stdout), { demo: "fleet", error: `ended by ${signal}` });
      assert.deepEqual(await ours.leftOver(), []);
    });
  }
});
