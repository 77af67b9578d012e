import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { requireOwnDirectory } from "../../daemon/own-directory.ts";
import { EdgeRunningError } from "../../protocol/edge-errors.ts";
import { ConfigInvalidError, SlotdError } from "../../protocol/errors.ts";

/** flock(1) exits with it if another process holds the lock. */
const HELD_BY_ANOTHER = 1;

/**
 * Creates the state directory and locks it for this process's life. The kernel releases the lock however the process
 * ends. A lock belongs to the open file, not to the process that asked for it: so the command flock(1) can take it on a
 * descriptor that it shares with this process, which saves the edge all native code.
 * @throws EdgeRunningError if another process holds it; ConfigInvalidError if it can't be used
 */
export function holdDirectory(path: string): { release(): void } {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    requireOwnDirectory(path);
    const fd = openSync(join(path, "lock"), "a", 0o600);
    const { status, error, stderr } = spawnSync("flock", ["--nonblock", "3"], {
      stdio: ["ignore", "ignore", "pipe", fd],
      encoding: "utf8",
    });
    if (status === 0) return { release: () => closeSync(fd) };
    closeSync(fd);
    if (status === HELD_BY_ANOTHER) throw new EdgeRunningError(path);
    throw error ?? new Error(`flock: ${stderr.trim()}`);
  } catch (cause) {
    if (cause instanceof SlotdError) throw cause;
    throw new ConfigInvalidError("state_directory", `can't be used (${(cause as Error).message})`, { cause });
  }
}
