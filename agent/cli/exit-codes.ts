/**
 * Exit codes of `slotctl`. Leaving a stream or `--watch` with Ctrl-C is `done`; leaving a drain or restart before its
 * end is `failed`, since it was not seen to end.
 */
export const slotctlExitCodes = {
  done: 0,
  failed: 1,
  /** Wrong usage, an unknown slot, or a configuration that breaks a rule. */
  usage: 2,
  unreachable: 3,
} as const;
export type SlotctlExitCode = (typeof slotctlExitCodes)[keyof typeof slotctlExitCodes];

const byCode: Record<string, SlotctlExitCode> = {
  USAGE: slotctlExitCodes.usage,
  CONFIG_INVALID: slotctlExitCodes.usage,
  SLOT_UNKNOWN: slotctlExitCodes.usage,
  AGENT_UNREACHABLE: slotctlExitCodes.unreachable,
};

/** The exit code that goes with an error's code. */
export function exitCodeOf(code: string): SlotctlExitCode {
  return byCode[code] ?? slotctlExitCodes.failed;
}
