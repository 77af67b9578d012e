import { type DeployContext, deployOf } from "../deploy-context.ts";
import { installOrder } from "../../decisions/draft-orders.ts";

/**
 * Tells hosts which of their two versions is current and which previous, by orders for what they hold already: no work there, and
 * nobody waits for it. A slot that was ordered something else in the meantime is left alone.
 */
export async function reorderRoles(
  work: DeployContext,
  roles: { current: string; previous: string | null },
): Promise<void> {
  const { id, hosts } = deployOf(work);
  const puts = Object.keys(hosts).flatMap((host) =>
    slotsOf(work, host).flatMap((slot) => {
      const latest = work.orders.latest(host, slot);
      if (latest?.action !== "install") return [];
      const { version } = latest.release;
      const role = version === roles.current ? "current" : version === roles.previous ? "previous" : null;
      if (role === null) return [];
      const order = installOrder(work, { id, host, slot, release: latest.release, role, purpose: "role" });
      return [work.orders.put(host, slot, order)];
    }),
  );
  await Promise.all(puts);
}

function slotsOf({ fleet }: DeployContext, host: string): string[] {
  return Object.keys(fleet.statusOf(host)?.slots ?? {});
}
