import type { Config } from "../../config/schema.ts";

/** As the kernel has it where nothing is set. */
const DEFAULT_WEIGHT = 100;

type Limited = Pick<Config, "limits" | "slots">;

/**
 * What to tell an operator of limits that are configured and not enforced; null where all of them are.
 * @param controllers that a delegated cgroup has; null where there is none
 */
export function unenforced({ limits, slots }: Limited, controllers: readonly string[] | null): string | null {
  const weighted = Object.keys(slots).filter((slot) => slots[slot]?.cpu_weight !== DEFAULT_WEIGHT);
  const needs = [
    ...(limits.memory_max_bytes === undefined ? [] : [{ key: "limits.memory_max_bytes", controller: "memory" }]),
    ...(limits.pids_max === undefined ? [] : [{ key: "limits.pids_max", controller: "pids" }]),
    ...weighted.map((slot) => ({ key: `slots.${slot}.cpu_weight`, controller: "cpu" })),
  ];
  const lost = needs.filter(({ controller }) => !controllers?.includes(controller));
  if (lost.length === 0) return null;
  const keys = lost.map(({ key }) => key).join(" and ");
  if (controllers === null)
    return `${keys} can't be enforced: the agent has no delegated cgroup v2; run it as slotd@.service does, with Delegate=yes`;
  const missing = [...new Set(lost.map(({ controller }) => controller))].join(" and ");
  return `${keys} can't be enforced: the kernel's hierarchy of cgroups v2 has no controller ${missing} here; enable it, or remove the keys`;
}
