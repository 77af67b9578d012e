import { closeSync, openSync } from "node:fs";
import { AgentRunningError } from "../../protocol/errors.ts";
import { lockFile, NativeError } from "./libc.ts";

/**
 * Holds a lock file for this process's life; the kernel releases it however the process ends.
 * @throws AgentRunningError where another process holds it.
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
