import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { type Deploy, deploySchema } from "../../../../protocol/deploy.ts";
import { type Order, orderVersion } from "../../../../protocol/order.ts";
import { type Routes, routesSchema } from "../../../../protocol/routes.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import type { Host } from "../../../../test/support/agent/host.ts";
import { until } from "../../../../test/support/until.ts";
import { SERVICE } from "../deploy/slotd-fleet.ts";
import type { Run } from "../run.ts";
import type { ChaosFleet } from "./fleet.ts";

const WITHIN_MS = 60_000;

export interface Convergence {
  /** Of the last order of each slot. */
  orders: { total: number; converged: number };
  /** What is not as it was ordered, in words. */
  missing: string[];
  ms: number;
}

/** What the controller wrote last. */
interface Ordered {
  orders: ReadonlyMap<string, Order>;
  deploy: Deploy;
  routes: { value: Routes; revision: number };
}

/** Waits until hosts hold what was ordered, the deploy has ended, and the edge runs with the last routes. */
export async function untilConverged(run: Run, fleet: ChaosFleet): Promise<Convergence> {
  const nc = await connect({ servers: fleet.nats.url, name: "bench" });
  run.own(() => nc.close());
  const kvm = new Kvm(nc);
  const beganMs = performance.now();
  let last: Omit<Convergence, "ms"> = { orders: { total: 0, converged: 0 }, missing: ["nothing was seen"] };
  const look = async () => {
    const ordered = await readOrdered(kvm, fleet.hosts);
    last = await compare(fleet, ordered);
    return last.missing.length === 0;
  };
  await until("the fleet has converged", look, { timeoutMs: WITHIN_MS, everyMs: 250 }).catch((error: Error) => {
    if (last.missing.length === 0) last.missing.push(error.message);
  });
  return { ...last, ms: Math.round(performance.now() - beganMs) };
}

async function readOrdered(kvm: Kvm, hosts: readonly Host[]): Promise<Ordered> {
  const read = async (bucket: string, key: string) => {
    const entry = await (await kvm.open(bucket)).get(key);
    return entry?.operation === "PUT" ? entry : null;
  };
  const orders = new Map<string, Order>();
  for (const { name } of hosts)
    for (const slot of ["a", "b"]) {
      const entry = await read(buckets.orders, keys.order(SERVICE, name, slot));
      if (entry) orders.set(`${name} ${slot}`, entry.json<Order>());
    }
  const [deploy, routes] = [await read(buckets.deploys, SERVICE), await read(buckets.routes, keys.routes(SERVICE))];
  if (!deploy || !routes) throw new Error("the bus has no deploy, or no routes");
  return {
    orders,
    deploy: deploySchema.parse(deploy.json()),
    routes: { value: routesSchema.parse(routes.json()), revision: routes.revision },
  };
}

async function compare(fleet: ChaosFleet, { orders, deploy, routes }: Ordered): Promise<Omit<Convergence, "ms">> {
  const held = await Promise.all(
    [...orders].map(async ([key, order]) => {
      const [name, slot = ""] = key.split(" ");
      const {
        state,
        version,
        order: last,
        workers,
      } = await (fleet.hosts.find((host) => host.name === name) as Host).slot(slot);
      const wanted = order.action === "install" ? orderVersion(order) : null;
      const isFull = wanted === null || (state === "serving" && workers.ready === workers.wanted);
      const isDone = last?.id === order.id && last.outcome === "done" && version === wanted && isFull;
      return isDone
        ? null
        : `${key} is to hold ${wanted} by order ${order.id}: ${JSON.stringify({ state, version, last, workers })}`;
    }),
  );
  const missing = held.filter((why) => why !== null);
  const converged = orders.size - missing.length;
  const step = deploy.deploy?.step;
  if (deploy.lock !== null) missing.push(`the lock of the deploy is held by ${deploy.lock.holder}`);
  if (step !== "done" && step !== "rolledBack")
    missing.push(`the deploy of ${deploy.deploy?.version} is in step ${step}`);
  missing.push(...(await edgeMissing(fleet, routes)));
  return { orders: { total: orders.size, converged }, missing };
}

async function edgeMissing({ edge, hosts }: ChaosFleet, { value, revision }: Ordered["routes"]): Promise<string[]> {
  const status = await edge.status();
  if (!status) return ["the edge does not report"];
  const endpoints = hosts.length * value.serving.length;
  const isWell = status.endpoints === endpoints && status.heldBack === 0 && status.problems.length === 0;
  if (status.appliedRoutes >= revision && status.epoch === value.epoch && isWell) return [];
  return [`the edge is to run with routes ${revision} and ${endpoints} endpoints: ${JSON.stringify(status)}`];
}
