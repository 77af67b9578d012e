import type { HostStatus, SlotStatus } from "../../../protocol/host-status.ts";

/** The slots that hold a version, those that have been longest in their state first. */
export function hostsHolding(statuses: readonly HostStatus[], version: string): { host: string; slot: SlotStatus }[] {
  return statuses
    .flatMap(({ host, slots }) => Object.values(slots).map((slot) => ({ host, slot })))
    .filter(({ slot }) => slot.version === version)
    .sort((x, y) => Date.parse(x.slot.since) - Date.parse(y.slot.since) || (x.host < y.host ? -1 : 1));
}
