import { installOrder } from "../../decisions/draft-orders.ts";
import { authorOf, type DeployContext, deployOf } from "../deploy-context.ts";

/**
 * Tells hosts which of their two versions is current and which is previous, by orders for what they already hold. Hosts
 * have no work to do, and nobody waits for them. A slot that got another order in the meantime is left alone.
 */
export async function reorderRoles(
  context: DeployContext,
  roles: { current: string; previous: string | null },
): Promise<void> {
  const { id, hosts } = deployOf(context);
  const puts = Object.keys(hosts).flatMap((host) =>
    slotsOf(context, host).flatMap((slot) => {
      const before = context.orders.latestOrder(host, slot);
      if (before?.action !== "install") return [];
      const { release } = before;
      const role =
        release.version === roles.current ? "current" : release.version === roles.previous ? "previous" : null;
      if (role === null) return [];
      const order = installOrder(authorOf(context), { id, slot, release, role, purpose: "role", before });
      return [context.orders.put(host, slot, order)];
    }),
  );
  await Promise.all(puts);
}

function slotsOf({ fleet }: DeployContext, host: string): string[] {
  return Object.keys(fleet.statusOf(host)?.slots ?? {});
}
