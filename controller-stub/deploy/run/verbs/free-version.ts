import type { BusSession } from "../../../../bus/session.ts";
import { fetchStatuses } from "../../../host-reports.ts";
import { fetchOrders } from "../../../orders/put-orders.ts";
import { NatsTarget } from "../../../publish/targets/nats.ts";
import type { OnMalformed } from "../../../values/malformed.ts";
import { whyKept } from "../../decisions/why-kept.ts";
import { InUseError } from "../../deploy-errors.ts";
import { fetchRecord } from "../records/deploy-record.ts";
import { requireRoutes } from "../records/routes.ts";

/**
 * Deletes what was published of a version, so that its name is free again.
 * @throws InUseError where a host may hold it, or it was served
 */
export async function freeVersion(
  bus: BusSession,
  { service, version }: { service: string; version: string },
  onMalformed: OnMalformed,
): Promise<void> {
  const [{ routes }, { deploy: record }, statuses, orders] = await Promise.all([
    requireRoutes(bus, service),
    fetchRecord(bus, service),
    fetchStatuses(bus, service, onMalformed),
    fetchOrders(bus, service, onMalformed),
  ]);
  const why = whyKept(version, { routes, record, statuses, orders });
  if (why !== null)
    throw new InUseError(`${service} ${version} can't be replaced: ${why}; publish it under a new version`);
  await new NatsTarget(bus).removeVersion(service, version);
}
