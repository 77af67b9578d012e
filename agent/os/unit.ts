import { readFileSync } from "node:fs";

/** The systemd service unit of this process, from its cgroup: `slotd@web.service`; null if there is none. */
export function unitName(cgroups: string = readFileSync("/proc/self/cgroup", "utf8")): string | null {
  // Only systemd's hierarchies: 0 is the unified one, the other one is named.
  for (const line of cgroups.split("\n")) {
    const unit = /^(?:0::|\d+:name=systemd:).*\/([^/]+\.service)(?:\/|$)/.exec(line)?.[1];
    if (unit) return unit;
  }
  return null;
}
