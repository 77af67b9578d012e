/** The exit codes of the commands. */
export const exitCodes = {
  done: 0,
  failed: 1,
  /** Wrong usage, or a configuration that breaks a rule. */
  usage: 2,
  /** The agent, or the bus, can't be reached. */
  unreachable: 3,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
