import type { Colors } from "picocolors/types.js";
import type { WorkerStatus } from "../../../protocol/index.ts";
import { bytes } from "./amounts.ts";
import { duration } from "./duration.ts";
import { workerState } from "./state.ts";
import { table } from "./table.ts";
import { shorten } from "./text.ts";

const head = ["SLOT", "WORKER", "PID", "STATE", "UPTIME", "CPU", "MEMORY", "RESTARTS", "VERSION"];

/** The page of `slotctl workers`. */
export function workersPage(workers: readonly WorkerStatus[], colors: Colors): string[] {
  if (workers.length === 0) return ["no workers"];
  const rows = workers.map((w) => [
    colors.bold(w.slot),
    String(w.worker),
    w.pid === 0 ? "-" : String(w.pid),
    workerState(colors, w.state),
    duration(w.uptimeMs),
    w.cpuPercent === null ? "-" : `${w.cpuPercent.toFixed(1)}%`,
    w.memoryBytes === null ? "-" : bytes(w.memoryBytes),
    w.restarts > 0 ? colors.yellow(String(w.restarts)) : "0",
    shorten(w.version, 28),
  ]);
  return table(colors, head, rows, ["WORKER", "PID", "UPTIME", "CPU", "MEMORY", "RESTARTS"]);
}
