import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ControlDeniedError } from "./errors.ts";

const GROUP_WRITE = 0o020;
const GROUP_ENTER = 0o010;

/** The error for a socket that may not be used, saying which group may. */
export function denied(socketPath: string): ControlDeniedError {
  // If even the socket's attributes can't be read, its directory denies access.
  const barrier = look(socketPath, GROUP_WRITE) ?? look(dirname(socketPath), GROUP_ENTER);
  if (!barrier?.groupMay || barrier.gid === 0)
    return new ControlDeniedError(
      `permission denied on ${socketPath}: only its owner may use it; set [control] group in slotd's configuration, or use sudo`,
    );
  const group = groupName(barrier.gid);
  return new ControlDeniedError(
    `permission denied on ${socketPath}: it is for members of group ${group}; ` +
      `join it (sudo usermod -aG ${group} "$USER", then log in again), or use sudo`,
  );
}

function look(path: string, groupBit: number): { gid: number; groupMay: boolean } | undefined {
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
