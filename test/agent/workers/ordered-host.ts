import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Release } from "../../../protocol/release.ts";
import type { Host, Settings } from "../../support/agent/host.ts";
import type { Hosts } from "../../support/agent/hosts.ts";
import { Load } from "../../support/load/load.ts";
import { makeRelease } from "../../support/release.ts";
import { PATIENCE_MS, until } from "../../support/until.ts";

/** Each app that does what it is ordered by files, and what it is run with. */
const RUN = {
  "tells.py": ["/usr/bin/python3", "tells.py"],
  "alive.mjs": [process.execPath, "alive.mjs"],
  "crashes.mjs": [process.execPath, "crashes.mjs"],
};

/** A host whose workers do what files order: see the apps. */
export class OrderedHost {
  private constructor(
    readonly host: Host,
    private readonly app: keyof typeof RUN,
    private readonly environment: Record<string, string>,
    private settings: Settings,
  ) {}

  /** With `workers` in each slot; the agent is started. */
  static async start(
    hosts: Hosts,
    app: keyof typeof RUN,
    settings: Settings,
    environment: Record<string, string> = {},
    nodeOptions: string[] = [],
  ): Promise<OrderedHost> {
    const host = await hosts.create({}, { nodeOptions });
    const ordered = new OrderedHost(host, app, environment, {});
    mkdirSync(ordered.control);
    ordered.configure(settings);
    await host.startAgent();
    await until("the agent has the bus", async () => (await host.status()).bus.connected);
    return ordered;
  }

  get control(): string {
    return join(this.host.directory, "control");
  }

  /** Where the workers' own sockets are. */
  get sockets(): string {
    return join(this.host.directory, "slotd.workers");
  }

  /** The names of what is there for workers, without what is random in them. */
  signs(): string[] {
    if (!existsSync(this.sockets)) return [];
    return readdirSync(this.sockets)
      .map((name) => name.replace(/-[0-9a-f]{6}\./, "."))
      .sort();
  }

  /** Writes the configuration; the agent reads it when it is started. */
  configure(settings: Settings): void {
    this.settings = settings;
    const { app, ...rest } = settings as { app?: Settings };
    const environment = { CONTROL: this.control, ...this.environment };
    this.host.configure({
      ...rest,
      app: { command: RUN[this.app], workers: 4, restart_backoff_max_ms: 500, ...app, environment },
    });
  }

  /** With other values for some keys. */
  reconfigure(changes: Settings): void {
    this.configure({ ...this.settings, ...changes });
  }

  order(word: string, content = ""): void {
    const file = join(this.control, word);
    writeFileSync(`${file}.new`, content, "latin1");
    renameSync(`${file}.new`, file);
  }

  takeBack(word: string): void {
    rmSync(join(this.control, word), { force: true });
  }

  /** Has a worker tell something, and waits until it has; binary, one character per byte. */
  async say(worker: number, what: string): Promise<void> {
    const word = `say-${worker}`;
    this.order(word, what);
    await until(`worker ${worker} has said it`, () => !existsSync(join(this.control, word)));
  }

  /** Has a worker tell something, and waits until the agent has heard that, and all before it. */
  async heard(worker: number, status: string): Promise<void> {
    await this.say(worker, `STATUS=${status}`);
    await until(`the agent has heard ${status}`, async () =>
      (await this.host.workers()).some((one) => one.worker === worker && one.says === status),
    );
  }

  release(version: string): Promise<Release> {
    return makeRelease(this.host.archives, version, { app: this.app });
  }

  /** A version of it in a slot, serving. */
  async installed(slot: string, version: string): Promise<Release> {
    const release = await this.release(version);
    await this.host.installed(slot, release);
    return release;
  }

  /** The pid of each worker of a slot, by number. */
  async pids(slot = "a"): Promise<number[]> {
    const workers = await this.host.workers(slot);
    return workers.sort((x, y) => x.worker - y.worker).map(({ pid }) => pid);
  }

  /** Kills the agent, and starts another one. */
  async nextAgent(): Promise<void> {
    await this.host.killAgent();
    await this.host.startAgent();
  }

  untilReady(slot = "a", workers = 2, timeoutMs?: number) {
    return this.host.untilSlot(
      slot,
      `has ${workers} ready`,
      (status) => status.state === "serving" && status.workers.ready === workers && status.workers.alive === workers,
      timeoutMs,
    );
  }
}

/**
 * Hangs the first of three workers in slot a, under load: it is ended for that reason, by that signal, and replaced;
 * the others stay, and no request fails.
 */
export async function replacesHungWorker(
  hosts: Hosts,
  ordered: OrderedHost,
  reason: "hung" | "unhealthy",
  signal: NodeJS.Signals,
): Promise<void> {
  const { host } = ordered;
  const [hung, ...others] = await ordered.pids();
  const load = new Load({ target: () => ({ host: host.address, port: host.ports.a as number }), clients: 3 });
  hosts.onEnd(() => load.stop());
  await until("the load is on", () => load.requests > 50);
  ordered.order("hang-0");
  const { lastEnd } = await host.untilSlot("a", "has ended it", (slot) => slot.lastEnd !== null);
  ordered.takeBack("hang-0");
  assert.deepEqual([lastEnd?.pid, lastEnd?.reason, lastEnd?.signal], [hung, reason, signal]);
  await ordered.untilReady("a", 3);
  await load.stop();
  assert.deepEqual(load.failures, []);
  assert.deepEqual((await ordered.pids()).slice(1), others);
  const ends = (await host.events()).filter(({ facts }) => facts?.reason === reason);
  assert.deepEqual(
    ends.map(({ facts }) => facts?.worker),
    [0],
  );
}

/** Lets a time pass that something has to last, and sees to it that it holds all the while. */
export async function lasts(ms: number, what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + ms;
  let broken = false;
  await until(
    `${what}, for ${ms} ms`,
    async () => {
      broken ||= !(await holds());
      return broken || performance.now() > end;
    },
    { timeoutMs: ms + PATIENCE_MS },
  );
  if (broken) throw new Error(`it did not last ${ms} ms: ${what}`);
}
