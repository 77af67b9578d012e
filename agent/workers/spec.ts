import { resolve } from "node:path";
import type { Config } from "../config/schema.ts";

/** All that a worker of a slot needs to know to be started. */
export interface WorkerSpec {
  service: string;
  slot: string;
  version: string;
  /** The release's files. */
  tree: string;
  port: number;
  /** Marks every process of the slot, so that none is ever mistaken for another's. */
  token: string;
  app: Config["app"];
  /** Where the workers' output goes. */
  logDirectory: string;
}

/** What a service manager told the agent, and means the agent only. */
const SERVICE_MANAGER = new Set([
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
  "LISTEN_PID",
  "INVOCATION_ID",
  "JOURNAL_STREAM",
]);

/** The variable that carries a slot's token. */
export const TOKEN_VARIABLE = "SLOTD_TOKEN";

export function workingDirectory(spec: WorkerSpec): string {
  return resolve(spec.tree, spec.app.working_directory);
}

export function logFile(spec: Pick<WorkerSpec, "logDirectory" | "slot">, worker: number): string {
  return resolve(spec.logDirectory, `${spec.slot}-${worker}.log`);
}

/**
 * The environment of a worker: the agent's own, without what belongs to the agent's service manager, then the configured one, then
 * what slotd promises: PORT, SLOTD_* and systemd's activation protocol (sd_listen_fds(3); LISTEN_PID is set by the launcher).
 */
export function workerEnvironment(spec: WorkerSpec, worker: number, inherited: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.fromEntries(Object.entries(inherited).filter(([name]) => !SERVICE_MANAGER.has(name)));
  return {
    ...own,
    ...spec.app.environment,
    PORT: String(spec.port),
    SLOTD_SERVICE: spec.service,
    SLOTD_SLOT: spec.slot,
    SLOTD_VERSION: spec.version,
    SLOTD_WORKER: String(worker),
    [TOKEN_VARIABLE]: spec.token,
    LISTEN_FDS: "1",
    LISTEN_FDNAMES: "http",
  };
}
