import type { Cgroup } from "../../os/cgroup.ts";
import { allPids, identify, type ProcessIdentity, processStat } from "../../os/process.ts";
import { processesWithToken } from "../process/token.ts";

/**
 * What is left of a slot: processes that carry its token, members of its workers' process groups (an app that rewrites
 * its title may have overwritten the environment that the token is read from), and all that is in its control group.
 */
export function findOrphans(
  token: string,
  leaders: readonly ProcessIdentity[],
  cgroup: { processes(): ProcessIdentity[] } | null,
): ProcessIdentity[] {
  const found = processesWithToken(token).map(({ identity }) => identity);
  return distinct([...found, ...groupsOf(leaders), ...(cgroup?.processes() ?? [])]);
}

/**
 * What workers that ended left of their trees: members of their process groups, processes that inherited a worker's own
 * LISTEN_PID with the slot's token, and what is in their control groups.
 * @param living pids of the slot's workers that run, which are never part of it
 */
export function orphansOf(
  token: string,
  ended: readonly { identity: ProcessIdentity; cgroup: Cgroup | null }[],
  living: readonly number[],
): ProcessIdentity[] {
  const trees = ended.map(({ identity }) => identity);
  const grouped = ended.flatMap(({ cgroup }) => cgroup?.pids() ?? []).flatMap((pid) => identify(pid) ?? []);
  const pids = new Set(trees.map(({ pid }) => String(pid)));
  const heirs = processesWithToken(token).filter(({ env }) => pids.has(env.get("LISTEN_PID") ?? ""));
  const safe = (pid: number) => !living.includes(pid) && !living.includes(processStat(pid)?.group ?? 0);
  return distinct([...heirs.map(({ identity }) => identity), ...groupsOf(trees), ...grouped]).filter(({ pid }) =>
    safe(pid),
  );
}

/** The living members of processes' groups. */
function groupsOf(leaders: readonly ProcessIdentity[]): ProcessIdentity[] {
  // A group's id is not given away while it has members, unless its leader's pid now belongs to somebody else.
  const groups = new Set(
    leaders
      .filter((leader) => (processStat(leader.pid)?.startTime ?? leader.startTime) === leader.startTime)
      .map((l) => l.pid),
  );
  const members = allPids().filter((pid) => groups.has(processStat(pid)?.group ?? 0));
  return members.flatMap((pid) => identify(pid) ?? []);
}

function distinct(found: readonly ProcessIdentity[]): ProcessIdentity[] {
  return [...new Map(found.map((identity) => [identity.pid, identity])).values()];
}
