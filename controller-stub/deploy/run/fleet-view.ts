import { openBucket } from "../../../bus/buckets.ts";
import type { BusSession } from "../../../bus/session.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { type Context, LeftOut } from "../../context.ts";
import { OrderLedger } from "./records/order-ledger.ts";
import { requireRoutes } from "./records/routes.ts";
import { Fleet } from "./watch/fleet.ts";
import { FollowedEdges } from "./watch/followed-edges.ts";

/** The fleet as it is, read and followed. */
export interface FleetView {
  bus: BusSession;
  routes: Routes | null;
  fleet: Fleet;
  edges: FollowedEdges;
  orders: OrderLedger;
}

/** Reads everything that a plan needs. Creates buckets that are missing, and changes nothing else. */
export async function withFleetView<T>(
  context: Context,
  bus: BusSession,
  service: string,
  use: (view: FleetView) => Promise<T>,
): Promise<T> {
  const stops: (() => void)[] = [];
  const stopAtEnd = async <S extends { stop: () => void }>(opening: Promise<S>) => {
    const opened = await opening;
    stops.push(opened.stop);
    return opened;
  };
  try {
    // A run waits for members in a bucket that agents create, too: whoever comes first creates it.
    const leftOut = new LeftOut(context.output);
    const [fleet, edges, orders, { routes }] = await Promise.all([
      stopAtEnd(Fleet.follow(bus, service, leftOut.note)),
      stopAtEnd(FollowedEdges.follow(bus, service, leftOut.note)),
      OrderLedger.fetch(bus, service, leftOut.note),
      requireRoutes(bus, service),
      openBucket(bus, buckets.serversets),
    ]);
    return await use({ bus, routes, fleet, edges, orders });
  } finally {
    for (const stop of stops) stop();
  }
}
