import type { Config } from "../config/schema.ts";

/**
 * What to tell an operator of limits that are configured and not enforced; null where all of them are.
 * @param controllers that a delegated cgroup has; null where there is none
 */
export function unenforced(limits: Config["limits"], controllers: readonly string[] | null): string | null {
  const needs = { memory_max_bytes: "memory", pids_max: "pids" } as const;
  const lost = (Object.keys(needs) as (keyof typeof needs)[]).filter(
    (key) => limits[key] !== undefined && !controllers?.includes(needs[key]),
  );
  if (lost.length === 0) return null;
  const keys = lost.map((key) => `limits.${key}`).join(" and ");
  if (controllers === null)
    return `${keys} can't be enforced: the agent has no delegated cgroup v2; run it as slotd@.service does, with Delegate=yes`;
  const missing = lost.map((key) => needs[key]).join(" and ");
  return `${keys} can't be enforced: the kernel's hierarchy of cgroups v2 has no controller ${missing} here`;
}
