import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { DrainRecord } from "../../protocol/host-status.ts";
import { buildWeb, type WebRelease } from "../../scripts/benchmarks/support/deploy/web-release.ts";
import { Host } from "../../test/support/agent/host.ts";
import { type NatsServer, startNats } from "../../test/support/nats/server.ts";
import { type FleetEdge, startEdge } from "./fleet-edge.ts";
import { controllerCommand, runController } from "./run-controller.ts";

const HOSTS = 6;
/** Agents that start at the same time. */
const AT_ONCE = 2;
const EDGES = ["varnish", "haproxy"] as const;

/**
 * A real nats-server, hosts with real agents, each at its own address, and edges in front of them. `clear` ends
 * everything.
 */
export class FleetStage {
  readonly hosts: Host[] = [];
  readonly edges: FleetEdge[] = [];
  private bus: NatsServer | undefined;
  private readonly undoing: (() => Promise<unknown>)[] = [];

  /** @param signal ends what is running, so that the stage can be cleared */
  constructor(readonly signal: AbortSignal) {}

  /** @throws where something does not start; `clear` still ends what did start */
  async set(say: (line: string) => void): Promise<void> {
    this.bus = await startNats();
    this.onClear(() => this.nats.stop());
    await this.controller(["setup"]);
    say(`   nats-server at ${this.nats.url}`);
    for (let number = 1; number <= HOSTS; number += AT_ONCE) {
      this.signal.throwIfAborted();
      await allOf(
        Array.from({ length: Math.min(AT_ONCE, HOSTS - number + 1) }, (_, more) => this.addHost(number + more)),
      );
    }
    const [first, last] = [this.hosts[0] as Host, this.hosts.at(-1) as Host];
    say(
      `   ${HOSTS} hosts, ${first.name} at ${first.bind} to ${last.name} at ${last.bind}: two slots of two workers on each`,
    );
    for (const [at, kind] of EDGES.entries()) {
      this.signal.throwIfAborted();
      const edge = await startEdge(this.nats.url, `edge-${at + 1}`, kind, (undo) => this.onClear(undo));
      this.edges.push(edge);
      say(`   ${edge.name} at ${edge.url}, ${edge.about}`);
    }
  }

  get nats(): NatsServer {
    if (!this.bus) throw new Error("the stage is not set");
    return this.bus;
  }

  get urls(): string[] {
    return this.edges.map(({ url }) => url);
  }

  /** Builds a version of the web app, and publishes it on the bus. */
  async publish(version: string): Promise<WebRelease> {
    const into = await mkdtemp(join(tmpdir(), "slotd-fleet-"));
    this.onClear(() => rm(into, { recursive: true, force: true }));
    const release = await buildWeb(version, into);
    await this.controller(["publish", "web", version, release.archive]);
    return release;
  }

  /** Runs a verb, and calls back with each line. @throws an error with the last lines if it fails */
  controller(words: readonly string[], onLine: (line: string) => void = () => {}): Promise<void> {
    return runController(this.nats.url, words, onLine, this.signal);
  }

  controllerCommand(...words: string[]): string[] {
    return controllerCommand(this.nats.url, words);
  }

  /** A connection to the bus that lasts as long as the stage. */
  connection(): Promise<NatsConnection> {
    return (this.hosts[0] as Host).bus();
  }

  /** How the last drain of each slot went. */
  async drains(): Promise<DrainRecord[]> {
    const statuses = await Promise.all(this.hosts.map((host) => host.status()));
    return statuses.flatMap(({ slots }) => Object.values(slots).flatMap(({ lastDrain }) => lastDrain ?? []));
  }

  /** Adds something to end with the stage; the newest is ended first. */
  onClear(undo: () => Promise<unknown>): void {
    this.undoing.push(undo);
  }

  /** Ends everything, and leaves nothing behind. @throws the first failure, after the rest was ended */
  async clear(): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.undoing.splice(0).reverse()) await undo().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }

  private async addHost(number: number): Promise<void> {
    const host = await Host.create({
      nats: this.nats.url,
      name: `web-${number}`,
      bind: `127.0.1.${number}`,
      settings: {
        app: { command: [process.execPath, "server.mjs"], workers: 4 },
        readiness: { hold_ms: 300, timeout_ms: 30_000 },
        health: { interval_ms: 500, timeout_ms: 5_000 },
        logs: { level: "info" },
      },
    });
    this.hosts[number - 1] = host;
    this.onClear(() => host.close());
    await host.startAgent();
  }
}

/** Waits for all even if one fails, so that none still runs while the stage is cleared. */
async function allOf(works: Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) if (outcome.status === "rejected") throw outcome.reason;
}
