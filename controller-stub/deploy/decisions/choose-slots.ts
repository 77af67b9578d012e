/** What a plan needs to know of a slot. */
export interface SlotOnHost {
  slot: string;
  version: string | null;
  /** Its version is current on the host, as far as the host knows; it counts where no routes say what is. */
  isCurrent?: boolean;
}

export interface SlotChoice {
  /** The slot for the new version, and the version that it holds. */
  slot: string;
  was: string | null;
  /** The slot that gets the default version first, on a host that lacks it, and what that one holds. */
  base: { slot: string; was: string | null } | null;
}

/**
 * Chooses the slot for a version on a host: never one that holds the default version, or, without one, the version that
 * is current on the host. A slot that already holds the
 * version comes first, then an empty one, then one whose version is not served, then by name.
 * @param current the default version; null in a fleet that has none yet
 * @returns undefined where the host has too few slots, or all of them hold the default version: an agent refuses to
 * remove that
 */
export function chooseSlots(
  slots: readonly SlotOnHost[],
  { version, current, serving }: { version: string; current: string | null; serving: readonly string[] },
): SlotChoice | undefined {
  const rank = ({ version: held }: SlotOnHost) =>
    held === null ? 0 : held === current ? 3 : serving.includes(held) ? 2 : 1;
  const byRank = slots.toSorted((x, y) => rank(x) - rank(y) || (x.slot < y.slot ? -1 : 1));
  const there = byRank.find((slot) => slot.version === version);
  const holder = current === null ? undefined : byRank.find((slot) => slot.version === current);
  if (current === null || holder !== undefined) {
    const isKept = ({ version: held, isCurrent }: SlotOnHost) =>
      held !== null && (current === null ? isCurrent === true : held === current);
    const target = there ?? byRank.find((slot) => !isKept(slot));
    return target && { slot: target.slot, was: target.version, base: null };
  }
  const base = byRank.find((slot) => slot !== there);
  const target = there ?? byRank.find((slot) => slot !== base);
  if (base === undefined || target === undefined) return undefined;
  return { slot: target.slot, was: target.version, base: { slot: base.slot, was: base.version } };
}
