/** What became of the requests while something was killed again and again. */
export interface Requests {
  requests: number;
  failed: number;
  /** How often each failure was seen. */
  failures: Record<string, number>;
}

/** What was seen over all kills of one kind. */
export interface Kills extends Requests {
  kills: number;
  workers: number;
  /** Workers that are another process now, or of whom nobody knows any more. */
  changedPids: number;
}

export interface AgentKills extends Kills {
  /** How often readers of the serverset were told that a member which stays is gone, or something else than before. */
  registrationsLost: number;
  longestSilenceMs: number;
  /** From each start of the next agent until those workers were told as serving, alive and ready. */
  startMs: number[];
}

export function sumOf(parts: readonly Requests[]): Requests {
  const failures: Requests["failures"] = {};
  for (const part of parts)
    for (const [failure, count] of Object.entries(part.failures)) failures[failure] = (failures[failure] ?? 0) + count;
  return {
    requests: parts.reduce((sum, { requests }) => sum + requests, 0),
    failed: parts.reduce((sum, { failed }) => sum + failed, 0),
    failures,
  };
}
