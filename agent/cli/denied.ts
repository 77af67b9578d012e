import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ControlDeniedError } from "./errors.ts";

const GROUP_WRITE = 0o020;
const GROUP_ENTER = 0o010;

/** The error for a socket that this user may not use. Names the group that may. */
export function denied(socketPath: string): ControlDeniedError {
  // If even stat on the socket fails, its directory denies access.
  const barrier = groupAccess(socketPath, GROUP_WRITE) ?? groupAccess(dirname(socketPath), GROUP_ENTER);
  if (!barrier?.groupMay || barrier.gid === 0)
    return new ControlDeniedError(
      `permission denied on ${socketPath}: only its owner may use it; set [control] group in slotd's configuration, or use sudo`,
    );
  const group = groupName(barrier.gid);
  return new ControlDeniedError(
    `permission denied on ${socketPath}: only members of group ${group} may use it; ` +
      `join it (sudo usermod -aG ${group} "$USER", then log in again), or use sudo`,
  );
}

function groupAccess(path: string, groupBit: number): { gid: number; groupMay: boolean } | undefined {
  try {
    const { gid, mode } = statSync(path);
    return { gid, groupMay: (mode & groupBit) !== 0 };
  } catch {
    return undefined;
  }
}

function groupName(gid: number): string {
  try {
    const entry = readFileSync("/etc/group", "utf8")
      .split("\n")
      .find((line) => line.split(":")[2] === String(gid));
    return entry?.split(":")[0] ?? String(gid);
  } catch {
    return String(gid);
  }
}
