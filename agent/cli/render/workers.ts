import type { Colors } from "picocolors/types.js";
import type { WorkerStatus } from "../../../protocol/host-status.ts";
import { bytes } from "./amounts.ts";
import { duration } from "./duration.ts";
import { workerState } from "./state.ts";
import { table } from "./table.ts";
import { oneLine, shorten } from "./text.ts";

const head = ["SLOT", "WORKER", "PID", "STATE", "UPTIME", "CPU", "MEMORY", "RESTARTS", "VERSION"];
const MAX_WORDS = 40;

/** The page of `slotctl workers`. */
export function workersPage(workers: readonly WorkerStatus[], colors: Colors): string[] {
  if (workers.length === 0) return ["no workers"];
  const anySays = workers.some(({ says }) => says !== null);
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
    ...(anySays ? [shorten(oneLine(w.says ?? ""), MAX_WORDS)] : []),
  ]);
  return table(colors, anySays ? [...head, "SAYS"] : head, rows, [
    "WORKER",
    "PID",
    "UPTIME",
    "CPU",
    "MEMORY",
    "RESTARTS",
  ]);
}
