import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { freePorts } from "../../support/ports.ts";
import { until } from "../../support/until.ts";

const NODES = ["n1", "n2", "n3"];

export interface Cluster {
  /** All servers, with commas. */
  url: string;
  /** Kills the node that leads a stream. @returns its name */
  killLeader(stream: string): Promise<string>;
  stop(): Promise<void>;
}

/** Three real nats-servers with one JetStream, on loopback. */
export async function startCluster(): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), "slotd-cluster-"));
  const ports = await freePorts(6);
  const client = ports.slice(0, 3);
  const routes = ports.slice(3).map((port) => `nats://127.0.0.1:${port}`);
  const nodes = new Map<string, ChildProcess>();
  for (const [at, name] of NODES.entries()) {
    const file = join(directory, `${name}.conf`);
    const cluster = `cluster { name: c, listen: "127.0.0.1:${ports[3 + at]}", routes: ${JSON.stringify(routes)} }`;
    const store = `jetstream { store_dir: ${JSON.stringify(join(directory, name))} }`;
    writeFileSync(file, `server_name: ${name}\nlisten: "127.0.0.1:${client[at]}"\n${store}\n${cluster}\n`);
    // A killed test process takes its servers along.
    const command = ["--pdeathsig", "KILL", "--", "nats-server", "-c", file];
    nodes.set(name, spawn("/usr/bin/setpriv", command, { stdio: "ignore" }));
  }
  const kill = async (node: ChildProcess | undefined) => {
    if (!node || node.exitCode !== null || node.signalCode !== null) return;
    const exited = once(node, "exit");
    node.kill("SIGKILL");
    await exited;
  };
  const stop = async () => {
    await Promise.all([...nodes.values()].map(kill));
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  const url = client.map((port) => `nats://127.0.0.1:${port}`).join(",");
  const manage = async <T>(use: (jsm: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<T>): Promise<T> => {
    const nc = await connect({ servers: url.split(","), timeout: 2000 });
    try {
      return await use(await jetstreamManager(nc, { timeout: 2000 }));
    } finally {
      await nc.close();
    }
  };
  try {
    // A meta leader is there once a replicated stream can be made.
    await until(
      "the cluster has a leader",
      () => manage((jsm) => jsm.streams.add({ name: "probe", subjects: ["probe"], num_replicas: 3 })),
      { everyMs: 200 },
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    stop,
    async killLeader(stream) {
      const { cluster } = await manage((jsm) => jsm.streams.info(stream));
      const leader = cluster?.leader;
      if (leader === undefined) throw new Error(`${stream} has no leader`);
      await kill(nodes.get(leader));
      return leader;
    },
  };
}
