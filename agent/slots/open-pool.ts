import type { WorkerEnd } from "../../protocol/host-status.ts";
import { notifyDirectory } from "../config/notify-paths.ts";
import type { RunConfig } from "../config/release-config.ts";
import type { InstalledRelease } from "../releases/store/store.ts";
import type { Front } from "../workers/front.ts";
import { Pool } from "../workers/pool.ts";
import type { SlotDependencies } from "./dependencies.ts";

/** How an end is reported; null: it was asked for, and is not reported. */
const NEWS: Record<WorkerEnd["reason"], string | null> = {
  stopped: null,
  killed: null,
  recycled: null,
  crashed: "crashed",
  lost: "was found dead",
  oom: "was ended by the kernel, out of memory",
  hung: "was ended: it sent no heartbeat in time",
  unhealthy: "was ended: its liveness probes failed",
};

/** Opens the pool of a slot's workers, and reports what happens to them. */
export function openPool(
  deps: SlotDependencies,
  config: RunConfig,
  release: InstalledRelease,
  front: Front,
  workers: number,
): Pool {
  const { name: slot, token, output, cgroup, secrets, account, log, emit } = deps;
  const { version, tree } = release;
  const port = config.slots[slot]?.port as number;
  const socketDirectory = notifyDirectory(config);
  const spec = { slot, version, tree, port, token, config, secrets, account, output, cgroup, socketDirectory };
  const pool = new Pool(spec, front, workers, log);
  pool.on("ended", (end) => {
    const news = NEWS[end.reason];
    if (news) emit({ kind: "worker", message: `worker ${end.worker} ${news}`, version, facts: { ...end } });
  });
  pool.on("recycled", ({ number, pid }, why) =>
    emit({ kind: "worker", message: `worker ${number} was recycled: ${why}`, version, facts: { pid } }),
  );
  return pool;
}
