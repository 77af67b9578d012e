import { closeSync, openSync } from "node:fs";
import { AgentRunningError } from "../../protocol/errors.ts";
import { lockFile, NativeError } from "./libc.ts";

/**
 * Locks a file for the life of this process. The kernel releases the lock however the process ends.
 * @throws AgentRunningError if another process holds the lock.
 */
export function holdLock(path: string): { release(): void } {
  const fd = openSync(path, "a", 0o600);
  try {
    lockFile(fd);
  } catch (error) {
    closeSync(fd);
    if (error instanceof NativeError && error.code === "EAGAIN") throw new AgentRunningError(path);
    throw error;
  }
  let held = true;
  return {
    release() {
      if (held) closeSync(fd);
      held = false;
    },
  };
}
