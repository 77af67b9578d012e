import { Host } from "../../../../test/support/agent/host.ts";
import { Edge } from "../../../../test/support/edge.ts";
import { type NatsServer, startNats } from "../../../../test/support/nats/server.ts";
import { freePorts } from "../../../../test/support/ports.ts";
import { Haproxy } from "../../../../test/support/proxies/haproxy.ts";
import { Varnish } from "../../../../test/support/proxies/varnish.ts";
import { until } from "../../../../test/support/until.ts";
import { BusRecord } from "../deploy/bus-record.ts";
import { Controller } from "../deploy/controller.ts";
import { SERVICE } from "../deploy/slotd-fleet.ts";
import { operatorSettings } from "../operator-settings.ts";
import type { Run } from "../run.ts";

export const proxyKinds = ["haproxy", "varnish", "builtin"] as const;
export type ProxyKind = (typeof proxyKinds)[number];

/** A proxy as a process of its own. */
export type OwnProxy = Pick<Haproxy, "kill" | "restart">;

const EDGE = "edge-1";
const EDGE_ADDRESS = "127.77.100.1";
const naming = { header: "X-App-Version", query: "v" };

/** Two hosts or more, an edge with its proxy, and a bus; everything but the bus on addresses that are no default. */
export interface ChaosFleet {
  nats: NatsServer;
  hosts: readonly Host[];
  edge: Edge;
  /** Null where the edge is the proxy. */
  proxy: OwnProxy | null;
  record: BusRecord;
}

/** Starts it with all durations at their defaults. */
export async function startFleet(run: Run, options: { hosts: number; workers: number; proxy: ProxyKind }) {
  const nats = await startNats();
  run.own(() => nats.stop());
  await Controller.create(run, nats.url).do("setup");
  const record = await BusRecord.start(run, nats.url, SERVICE);
  const hosts: Host[] = [];
  for (let number = 1; number <= options.hosts; number++) {
    const bind = `127.77.${number}.1`;
    const host = await Host.create({
      nats: nats.url,
      name: `h${number}`,
      bind,
      settings: operatorSettings(options.workers),
    });
    run.own(() => host.close());
    hosts.push(host);
    run.signal.throwIfAborted();
    await host.startAgent();
  }
  const { edge, proxy } = await startEdge(run, nats.url, options.proxy);
  await until("the edge reports", () => edge.status());
  return { nats, hosts, edge, proxy, record } satisfies ChaosFleet;
}

async function startEdge(run: Run, nats: string, kind: ProxyKind): Promise<Pick<ChaosFleet, "edge" | "proxy">> {
  const common = { nats, name: EDGE, settings: { naming, log_level: "info" } };
  const begin = async (edge: Edge) => {
    run.own(() => edge.close());
    run.signal.throwIfAborted();
    await edge.begin();
    return edge;
  };
  if (kind === "builtin") {
    const [port] = (await freePorts(1, EDGE_ADDRESS)) as [number];
    const url = `http://${EDGE_ADDRESS}:${port}`;
    const edge = await Edge.create({ ...common, url, proxy: { kind, address: EDGE_ADDRESS, port } });
    return { edge: await begin(edge), proxy: null };
  }
  const address = EDGE_ADDRESS;
  const proxy = await (kind === "varnish"
    ? Varnish.start({ address, naming: { ...naming, cookie: null } })
    : Haproxy.start({ address, naming: { ...naming, cookie: null } }));
  run.own(() => proxy.stop());
  return { edge: await begin(await Edge.create({ ...common, url: proxy.url, proxy: proxy.config })), proxy };
}
