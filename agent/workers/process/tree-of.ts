import { allPids, environment, type ProcessIdentity, processStat } from "../../os/process.ts";
import { processesWithToken, TOKEN_VARIABLE } from "./token.ts";

/** The pids of a process and of everything it started, as far as environments, process groups and parents show. */
export function treeOf({ pid }: ProcessIdentity): number[] {
  const token = environment(pid)?.get(TOKEN_VARIABLE);
  const heirs = token === undefined ? [] : processesWithToken(token);
  const stats = new Map(allPids().map((each) => [each, processStat(each)]));
  const tree = new Set([pid]);
  for (const { identity, env } of heirs) if (env.get("LISTEN_PID") === String(pid)) tree.add(identity.pid);
  for (const [each, stat] of stats) if (stat?.group === pid) tree.add(each);
  for (let size = 0; size < tree.size; ) {
    size = tree.size;
    for (const [each, stat] of stats) if (stat && tree.has(stat.parent)) tree.add(each);
  }
  return [...tree];
}
