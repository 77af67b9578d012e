import type { HostStatus, SlotStatus } from "../../../protocol/host-status.ts";

/**
 * The slot with the version that is current on its host: as ordered, otherwise the one of the latest order, as agents
 * see it.
 */
export function currentSlot({ slots }: Pick<HostStatus, "slots">): SlotStatus | undefined {
  const holding = Object.values(slots).filter(({ version }) => version !== null);
  const latest = holding.sort((x, y) => y.epoch - x.epoch || Date.parse(y.since) - Date.parse(x.since));
  return latest.find(({ role }) => role === "current") ?? latest.find(({ role }) => role !== "previous");
}
