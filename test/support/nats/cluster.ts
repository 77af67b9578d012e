import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { freePorts } from "../ports.ts";
import { until } from "../until.ts";

/** Three real nats-servers with JetStream that replicate to each other, on 127.0.0.1. */
export class NatsCluster {
  private readonly children = new Map<string, ChildProcess>();

  private constructor(
    private readonly directory: string,
    private readonly nodes: readonly { name: string; port: number; clusterPort: number }[],
  ) {}

  static async start(): Promise<NatsCluster> {
    const ports = await freePorts(6);
    const nodes = [0, 1, 2].map((i) => ({
      name: `n${i + 1}`,
      port: ports[i] as number,
      clusterPort: ports[i + 3] as number,
    }));
    const cluster = new NatsCluster(mkdtempSync(join(tmpdir(), "slotd-cluster-")), nodes);
    try {
      for (const { name } of nodes) cluster.startNode(name);
      await cluster.untilReplicates();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get servers(): string[] {
    return this.nodes.map(({ port }) => `nats://127.0.0.1:${port}`);
  }

  startNode(name: string): void {
    const node = this.nodes.find((one) => one.name === name);
    if (!node) throw new Error(`there is no node ${name}`);
    const routes = this.nodes.map(({ clusterPort }) => `nats://127.0.0.1:${clusterPort}`).join(",");
    const where = ["-js", "-sd", join(this.directory, name), "-a", "127.0.0.1", "-p", String(node.port), "-n", name];
    const joined = ["--cluster_name", "test", "--cluster", `nats://127.0.0.1:${node.clusterPort}`, "--routes", routes];
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", "nats-server", ...where, ...joined], {
      stdio: "ignore",
    });
    this.children.set(name, child);
  }

  /** kill -9. @returns when it is gone */
  async kill(name: string): Promise<void> {
    const child = this.children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** The node that leads a bucket's stream now. */
  async leaderOf(bucket: string): Promise<string> {
    const nc = await connect({ servers: this.servers });
    try {
      const manager = await jetstreamManager(nc);
      return await until(
        "the bucket has a leader",
        async () => (await manager.streams.info(`KV_${bucket}`)).cluster?.leader,
      );
    } finally {
      await nc.close();
    }
  }

  /** Ends all nodes and removes what they stored. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ name }) => this.kill(name)));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  private async untilReplicates(): Promise<void> {
    const replicates = async () => {
      const nc = await connect({ servers: this.servers, timeout: 1_000 });
      try {
        const manager = await jetstreamManager(nc, { timeout: 2_000 });
        await manager.streams.add({ name: "probe", subjects: ["probe"], num_replicas: 3 });
        return await manager.streams.delete("probe");
      } finally {
        await nc.close();
      }
    };
    await until("three nodes replicate", replicates, { everyMs: 200 });
  }
}
