import { SlotdError, toSlotdError } from "../../protocol/errors.ts";
import type { WireError } from "../../protocol/host-status.ts";

/** The command line is wrong. Never crosses the wire. */
export class SlotctlUsageError extends Error {
  readonly code = "USAGE";
}

/** The user left before what was followed had ended. */
export class SlotctlInterruptedError extends Error {
  readonly code = "INTERRUPTED";
}

/** The agent's own error, as it answered or reports it. Its code may be newer than this command. */
export class AgentError extends Error {
  constructor(readonly wire: WireError) {
    super(wire.message);
    this.name = new.target.name;
  }
}

/** There is a socket, but this user may not use it. */
export class ControlDeniedError extends SlotdError {
  readonly code = "AGENT_UNREACHABLE";
}

/** What is shown of an error. */
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
