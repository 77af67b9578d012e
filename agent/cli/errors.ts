import { SlotdError, toSlotdError } from "../../protocol/errors.ts";
import { type ExitCode, exitCodes } from "../../protocol/exit-codes.ts";
import type { WireError } from "../../protocol/host-status.ts";

/** The command line is wrong. Never crosses the wire. */
export class SlotctlUsageError extends Error {
  readonly code = "USAGE";
}

/** The user left before the end of the operation. */
export class SlotctlInterruptedError extends Error {
  readonly code = "INTERRUPTED";
}

/** An error from the agent. This version of slotctl may not know its code. */
export class AgentError extends Error {
  constructor(readonly wire: WireError) {
    super(wire.message);
    this.name = new.target.name;
  }
}

/** The socket exists, but this user may not use it. */
export class ControlDeniedError extends SlotdError {
  readonly code = "AGENT_UNREACHABLE";
}

/** An error as shown to the user. */
export interface ShownError {
  code: string;
  message: string;
  field?: string | undefined;
}

export function shown(error: unknown): ShownError {
  if (error instanceof SlotctlUsageError || error instanceof SlotctlInterruptedError)
    return { code: error.code, message: error.message };
  const { code, message, field } = error instanceof AgentError ? error.wire : toSlotdError(error).toWire();
  return { code, message, ...(field !== undefined && { field }) };
}

const exitCodesByError: Record<string, ExitCode> = {
  USAGE: exitCodes.usage,
  CONFIG_INVALID: exitCodes.usage,
  SLOT_UNKNOWN: exitCodes.usage,
  AGENT_UNREACHABLE: exitCodes.unreachable,
};

/**
 * The exit code for an error's code. Leaving a drain or restart with Ctrl-C fails, since its end was not seen; leaving
 * a stream or `--watch` is no error.
 */
export function exitCodeOf(code: string): ExitCode {
  return exitCodesByError[code] ?? exitCodes.failed;
}
