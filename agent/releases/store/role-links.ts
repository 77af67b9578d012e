import { randomBytes } from "node:crypto";
import { readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { syncDirectory } from "../../../daemon/durable-file.ts";

/** Links in the state directory to the trees of the versions that have a role on this host. */
export type Roles = Record<"current" | "previous", string | null>;

/**
 * Sets the links `current` and `previous`, each by one rename: a reader always gets one tree or the other.
 * @param state the state directory
 * @param roles versions; null: nothing has the role, and the link is removed
 */
export async function setRoleLinks(state: string, roles: Roles): Promise<void> {
  let changed = false;
  for (const [role, version] of Object.entries(roles)) {
    const path = join(state, role);
    const target = version === null ? null : join("releases", version, "tree");
    if (targetOf(path) === target) continue;
    changed = true;
    if (target === null) {
      rmSync(path, { force: true });
      continue;
    }
    const beside = `${path}.${randomBytes(4).toString("hex")}`;
    symlinkSync(target, beside);
    renameSync(beside, path);
  }
  if (changed) await syncDirectory(state);
}

function targetOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** A slot's version, as far as roles are concerned. */
export interface RoleHolder {
  version: string;
  epoch: number;
  /** As ordered. */
  role?: "current" | "previous" | undefined;
}

/** Which version is current and which previous: as ordered, otherwise the higher epoch is current. Pure. */
export function rolesOf(holders: readonly RoleHolder[]): Roles {
  const byEpoch = [...holders].sort((x, y) => y.epoch - x.epoch);
  const current = byEpoch.find(({ role }) => role === "current") ?? byEpoch.find(({ role }) => role !== "previous");
  const rest = byEpoch.filter((holder) => holder !== current);
  const previous = rest.find(({ role }) => role === "previous") ?? rest[0];
  return { current: current?.version ?? null, previous: previous?.version ?? null };
}
