import { allPids, findByToken, identify, type ProcessIdentity, processStat } from "../os/process.ts";
import { TOKEN_VARIABLE } from "./spec.ts";

/**
 * What is left of a slot: processes that carry its token, and members of its workers' process groups (an app that rewrites its
 * title may have overwritten the environment that the token is read from).
 */
export function stragglers(token: string, leaders: readonly ProcessIdentity[]): ProcessIdentity[] {
  const found = new Map(findByToken(TOKEN_VARIABLE, token).map(({ identity }) => [identity.pid, identity]));
  // A group's id is not given away while it has members, unless its leader's pid now belongs to somebody else.
  const groups = new Set(
    leaders
      .filter((leader) => (processStat(leader.pid)?.startTime ?? leader.startTime) === leader.startTime)
      .map((l) => l.pid),
  );
  for (const pid of allPids()) {
    const stat = processStat(pid);
    if (!stat || !groups.has(stat.group)) continue;
    const identity = identify(pid);
    if (identity) found.set(pid, identity);
  }
  return [...found.values()];
}
