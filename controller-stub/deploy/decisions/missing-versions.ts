import type { Routes } from "../../../protocol/routes.ts";
import type { SlotOnHost } from "./choose-slots.ts";

/** The served versions that a host lacks, and the slots for them: the default version first. */
export function missingVersions(
  slots: readonly SlotOnHost[],
  { default: current, serving }: Pick<Routes, "default" | "serving">,
): { slot: string; version: string }[] {
  const wanted = [current, ...serving.filter((version) => version !== current)];
  const missing = wanted.filter((version) => !slots.some((slot) => slot.version === version));
  const free = slots
    .filter(({ version }) => version === null || !serving.includes(version))
    .toSorted((x, y) => Number(x.version !== null) - Number(y.version !== null) || (x.slot < y.slot ? -1 : 1));
  return missing.flatMap((version, at) => {
    const slot = free[at]?.slot;
    return slot === undefined ? [] : [{ slot, version }];
  });
}
