import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "tar";
import { Edge } from "../../../../test/support/edge.ts";
import { until } from "../../../../test/support/until.ts";
import { Controller } from "../deploy/controller.ts";
import { cpuSecondsOf } from "../process-figures.ts";
import { temporaryDirectory } from "../processes.ts";
import type { Run } from "../run.ts";
import { MonitoredNats } from "./monitored-nats.ts";
import { PretendProcess } from "./pretend-process.ts";
import { OWN, RegistryRecord } from "./registry-record.ts";

export const SERVICE = "web";
const EDGE = "edge-real";

export interface SizedOptions {
  hosts: number;
  edges: number;
  /** From an order to its outcome, the same on every host. */
  installMs: number;
}

/** Hosts that pretend, edges that pretend, each with watches of its own, and one real edge, on one nats-server. */
export class SizedFleet {
  private constructor(
    readonly nats: MonitoredNats,
    readonly edge: Edge,
    readonly registry: RegistryRecord,
    readonly controller: Controller,
    private readonly hosts: PretendProcess,
    private readonly directory: string,
  ) {}

  static async start(run: Run, { hosts, edges, installMs }: SizedOptions): Promise<SizedFleet> {
    const nats = await MonitoredNats.start(run);
    const controller = Controller.create(run, nats.url);
    await controller.do("setup");
    const common = { servers: nats.url, service: SERVICE };
    const pretendHosts = await PretendProcess.start(run, [{ ...common, hosts, edges: 1, behaviour: { installMs } }]);
    // One fleet for each: edges of one fleet share their watches, and real ones don't.
    const others = Array.from({ length: edges - 2 }, (_, i) => ({ ...common, hosts: [], edges: [`other-${i + 1}`] }));
    await PretendProcess.start(run, others);
    const edge = await Edge.start({ nats: nats.url, name: EDGE, settings: { log_level: "info" } });
    run.own(() => edge.close());
    await until("the real edge is on the bus", () => edge.log().includes('"bus connected"'));
    const registry = await RegistryRecord.start(run, nats.url, SERVICE, EDGE);
    return new SizedFleet(nats, edge, registry, controller, pretendHosts, temporaryDirectory(run, "releases"));
  }

  /** What goes through the bus, less what the benchmark itself asks. */
  traffic() {
    return this.nats.traffic(OWN);
  }

  async publish(version: string): Promise<void> {
    const file = join(this.directory, `${version}.tar.gz`);
    writeFileSync(join(this.directory, version), randomBytes(64));
    await create({ file, gzip: true, cwd: this.directory }, [version]);
    await this.controller.do("publish", SERVICE, version, file);
  }

  deploy(version: string, wave: string) {
    return this.controller.do("deploy", SERVICE, version, "--wave", wave);
  }

  /** Waits until the real edge has acknowledged every change. */
  settled(): Promise<unknown> {
    return until("the edge has acknowledged every change", () => this.registry.isSettled);
  }

  violations(): Promise<string[]> {
    return this.hosts.violations();
  }

  /** CPU of the real edge so far, and the most memory that it ever had. */
  edgeUsage(): { cpuMs: number; peakRssMb: number } {
    const { pid } = this.edge;
    const [, kb = "NaN"] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return { cpuMs: 1_000 * cpuSecondsOf(pid), peakRssMb: Number(kb) / 1_024 };
  }
}
