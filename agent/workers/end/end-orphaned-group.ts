import type { Logger } from "pino";
import type { Cgroup } from "../../os/cgroup.ts";
import { identify } from "../../os/process.ts";
import { endTree } from "./end-tree.ts";

const GRACE_MS = 10_000;

/** Ends what is left in the control group of a worker that ended while no agent ran. Never rejects. */
export async function endOrphanedGroup(group: Cgroup, log: Logger): Promise<void> {
  const only = group.pids().flatMap((pid) => identify(pid) ?? []);
  const facts = { cgroup: group.path, pids: only.map(({ pid }) => pid) };
  try {
    if (only.length > 0) log.warn(facts, "processes that a worker left are being ended");
    await endTree({ slot: group.path, token: "", leaders: [], cgroup: null, only, signal: "SIGTERM" }, GRACE_MS);
    await group.end();
  } catch (err) {
    log.error({ err, ...facts }, "processes that a worker left could not be ended");
  }
}
