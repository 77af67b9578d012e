import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceProcess } from "../../../../test/support/agent/service-process.ts";
import { freePorts } from "../../../../test/support/ports.ts";
import { renderRollingHaproxy } from "./rolling-haproxy.ts";
import { RollingWorker } from "./rolling-worker.ts";

export interface RollingOptions {
  hosts: number;
  processesPerHost: number;
  /** The built release to begin with: its directory. */
  release: string;
  /** The first host is 127.0.1.1, unless another address is given up to its last dot. */
  network?: string;
}

/**
 * The same app on as many hosts and processes, deployed the old way: host after host, all processes of one are stopped
 * and started anew with the new version, behind a plain HAProxy. Whoever starts it has to stop it.
 */
export class RollingFleet {
  private proxy: ServiceProcess | undefined;

  private constructor(
    private readonly hosts: readonly (readonly RollingWorker[])[],
    private readonly directory: string,
    /** Where users ask. */
    readonly url: string,
  ) {}

  static async start({
    hosts: count,
    processesPerHost,
    release,
    network = "127.0.1",
  }: RollingOptions): Promise<RollingFleet> {
    const directory = mkdtempSync(join(tmpdir(), "slotd-rolling-"));
    const hosts: RollingWorker[][] = [];
    for (let number = 1; number <= count; number++) {
      const address = `${network}.${number}`;
      const ports = await freePorts(processesPerHost, address);
      hosts.push(ports.map((port, i) => new RollingWorker(address, port, join(directory, `h${number}-${i + 1}.log`))));
    }
    const [port] = (await freePorts(1)) as [number];
    const fleet = new RollingFleet(hosts, directory, `http://127.0.0.1:${port}`);
    try {
      for (const host of hosts) await fleet.begin(host, release);
      const file = join(directory, "haproxy.cfg");
      writeFileSync(file, renderRollingHaproxy(`127.0.0.1:${port}`, hosts.flat()));
      fleet.proxy = await ServiceProcess.start(["haproxy", "-db", "-f", file], [{ host: "127.0.0.1", port }]);
      return fleet;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
  }

  /** Restarts host after host with another version. */
  async deploy(release: string): Promise<void> {
    for (const host of this.hosts) {
      await Promise.all(host.map((worker) => worker.stop()));
      await this.begin(host, release);
    }
  }

  /** Ends everything, also after a failure. */
  async stop(): Promise<void> {
    await this.proxy?.end("SIGKILL");
    await Promise.all(this.hosts.flat().map((worker) => worker.stop()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async begin(host: readonly RollingWorker[], release: string): Promise<void> {
    await Promise.all(host.map((worker) => worker.start(release)));
    await Promise.all(host.map((worker) => worker.untilReady()));
  }
}
