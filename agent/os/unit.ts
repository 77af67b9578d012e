import { readFileSync } from "node:fs";

/**
 * The service unit of systemd that this process runs in, by its cgroup: `slotd@web.service`; null where it runs in
 * none.
 */
export function unitName(cgroups: string = readFileSync("/proc/self/cgroup", "utf8")): string | null {
  // Only systemd's own hierarchies: 0 is the unified one, the other is named.
  for (const line of cgroups.split("\n")) {
    const unit = /^(?:0::|\d+:name=systemd:).*\/([^/]+\.service)(?:\/|$)/.exec(line)?.[1];
    if (unit) return unit;
  }
  return null;
}
