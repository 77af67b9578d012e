import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { requireOwnDirectory } from "../daemon/own-directory.ts";
import { ConfigInvalidError, DiskFullError, SlotdError } from "../protocol/errors.ts";
import { Journal } from "./journal/journal.ts";
import { instanceToken } from "./journal/token.ts";
import { holdLock } from "./os/lock.ts";

/** What an agent holds of its state directory, as long as it lives. */
export interface State {
  lock: { release(): void };
  journal: Journal;
  token: string;
  logDirectory: string;
}

/**
 * Opens the state directory, made where it is not there yet.
 * @throws AgentRunningError, JournalNewerError; DiskFullError or ConfigInvalidError where it can't be used.
 */
export function openState(state: string): State {
  const logDirectory = join(state, "logs");
  try {
    // The workers' user has to reach the releases in it; what is secret has a mode of its own.
    mkdirSync(state, { recursive: true, mode: 0o755 });
    requireOwnDirectory(state);
    mkdirSync(logDirectory, { recursive: true, mode: 0o750 });
    const lock = holdLock(join(state, "lock"));
    return { lock, journal: Journal.open(state), token: instanceToken(state), logDirectory };
  } catch (cause) {
    if (cause instanceof SlotdError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") throw new DiskFullError(state, message, { cause });
    throw new ConfigInvalidError(
      "state_directory",
      `can't be used (${message}); the agent's user must be able to read and write it`,
      { cause },
    );
  }
}
