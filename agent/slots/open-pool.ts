import type { WorkerEnd } from "../../protocol/host-status.ts";
import { notifyDirectory } from "../config/notify-paths.ts";
import type { RunConfig } from "../config/release-config.ts";
import type { Listener } from "../os/listener.ts";
import type { InstalledRelease } from "../releases/store/store.ts";
import { Pool } from "../workers/pool.ts";
import type { SlotDependencies } from "./dependencies.ts";

/** What an end that nobody asked for is told as; null: it was asked for, and is no news. */
const NEWS: Record<WorkerEnd["reason"], string | null> = {
  stopped: null,
  killed: null,
  recycled: null,
  crashed: "ended by itself",
  lost: "was found ended",
  oom: "was ended by the kernel, out of memory",
  hung: "was ended: it had not been heard of in time",
  unhealthy: "was ended: its liveness probes failed",
};

/** The pool of a slot's workers, which tells what happens to them. */
export function openPool(
  deps: SlotDependencies,
  config: RunConfig,
  release: InstalledRelease,
  listener: Listener,
  workers: number,
): Pool {
  const { name: slot, token, output, cgroup, secrets, account, log, emit } = deps;
  const { version, tree } = release;
  const port = config.slots[slot]?.port as number;
  const socketDirectory = notifyDirectory(config);
  const spec = { slot, version, tree, port, token, config, secrets, account, output, cgroup, socketDirectory };
  const pool = new Pool(spec, listener, workers, log);
  pool.on("ended", (end) => {
    const news = NEWS[end.reason];
    if (news) emit({ kind: "worker", message: `worker ${end.worker} ${news}`, version, facts: { ...end } });
  });
  pool.on("recycled", ({ number, pid }, why) =>
    emit({ kind: "worker", message: `worker ${number} was recycled: ${why}`, version, facts: { pid } }),
  );
  return pool;
}
