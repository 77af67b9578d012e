import { SlotUnknownError } from "../../protocol/errors.ts";
import type { HostStatus, SlotStatus } from "../../protocol/host-status.ts";

/** A slot of the host. @throws SlotUnknownError naming the existing slots. */
export function slotOf(status: HostStatus, slot: string): SlotStatus {
  const found = Object.hasOwn(status.slots, slot) ? status.slots[slot] : undefined;
  if (!found) throw new SlotUnknownError(slot, Object.keys(status.slots));
  return found;
}
