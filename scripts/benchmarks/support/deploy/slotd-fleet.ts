import { Host } from "../../../../test/support/agent/host.ts";
import { Edge } from "../../../../test/support/edge.ts";
import { startNats } from "../../../../test/support/nats/server.ts";
import { Haproxy } from "../../../../test/support/proxies/haproxy.ts";
import { Varnish } from "../../../../test/support/proxies/varnish.ts";
import { until } from "../../../../test/support/until.ts";
import { operatorSettings } from "../operator-settings.ts";
import type { Run } from "../run.ts";
import { BusRecord } from "./bus-record.ts";
import { Controller, type VerbResult } from "./controller.ts";
import { buildWeb } from "./web-release.ts";

export const SERVICE = "web";
export const EDGES = ["varnish", "haproxy"] as const;

/** What an asset's address names its version by, in the example app. */
const naming = { header: "X-App-Version", query: "v", cookie: null };

/**
 * How a version was brought to the fleet: what the two verbs took, and when the first of them ran, by the system's
 * clock.
 */
export interface Deployed {
  prepare: VerbResult;
  promote: VerbResult;
  prepared: { fromMs: number; toMs: number };
}

export interface FleetOptions {
  hosts: number;
  workersPerSlot: number;
  /** Where releases are built. */
  directory: string;
}

/** Hosts with real agents, all durations at their defaults, and two edges with real proxies in front of them. */
export class SlotdFleet {
  private constructor(
    readonly hosts: readonly Host[],
    readonly edges: readonly Edge[],
    readonly urls: readonly string[],
    readonly record: BusRecord,
    private readonly controller: Controller,
    private readonly directory: string,
  ) {}

  static async start(run: Run, { hosts: count, workersPerSlot, directory }: FleetOptions): Promise<SlotdFleet> {
    const nats = await startNats();
    run.own(() => nats.stop());
    const controller = Controller.create(run, nats.url);
    await controller.do("setup");
    const record = await BusRecord.start(run, nats.url, SERVICE);
    const hosts: Host[] = [];
    for (let number = 1; number <= count; number++) {
      const host = await Host.create({
        ...{ nats: nats.url, name: `h${number}`, bind: `127.0.1.${number}` },
        settings: operatorSettings(workersPerSlot * 2),
      });
      run.own(() => host.close());
      hosts.push(host);
      run.signal.throwIfAborted();
      await host.startAgent();
    }
    const edges: Edge[] = [];
    const urls: string[] = [];
    for (const kind of EDGES) {
      const proxy = await (kind === "varnish" ? Varnish.start({ naming }) : Haproxy.start({ naming }));
      run.own(() => proxy.stop());
      const { header, query } = naming;
      const settings = { naming: { header, query }, log_level: "info" };
      const edge = await Edge.create({ nats: nats.url, name: kind, url: proxy.url, proxy: proxy.config, settings });
      run.own(() => edge.close());
      run.signal.throwIfAborted();
      await edge.begin();
      edges.push(edge);
      urls.push(proxy.url);
    }
    for (const edge of edges) await until(`the edge ${edge.name} reports`, () => edge.status());
    return new SlotdFleet(hosts, edges, urls, record, controller, directory);
  }

  async publish(version: string): Promise<void> {
    const { archive } = await buildWeb(version, this.directory);
    await this.controller.do("publish", SERVICE, version, archive);
  }

  /** As `deploy` does it, in two verbs: the switch of the default is one of its own then. */
  async deploy(version: string): Promise<Deployed> {
    const fromMs = Date.now();
    const prepare = await this.controller.do("prepare", SERVICE, version);
    const prepared = { fromMs, toMs: Date.now() };
    const promote = await this.controller.do("promote", SERVICE);
    return { prepare, promote, prepared };
  }

  rollback(): Promise<VerbResult> {
    return this.controller.do("rollback", SERVICE);
  }

  /** Writes routes as the controller does, and waits until both edges have acknowledged them. */
  async route(routes: { default: string; serving: string[] }): Promise<void> {
    await this.record.untilAcknowledged(await this.record.putRoutes(routes), EDGES);
  }
}
