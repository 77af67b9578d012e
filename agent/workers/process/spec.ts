import { resolve } from "node:path";
import type { RunConfig } from "../../config/release-config.ts";
import type { Account, AccountLookup } from "../../os/account.ts";
import type { WorkerOutput, Writer } from "../../output/worker-output.ts";
import type { SlotCgroup } from "./cgroups.ts";
import type { Secrets } from "./secrets.ts";

/** All that a worker of a slot needs to know to be started. */
export interface WorkerSpec {
  slot: string;
  version: string;
  /** The release's files. */
  tree: string;
  port: number;
  /** Marks every process of the slot, so that none is ever mistaken for another's. */
  token: string;
  config: RunConfig;
  secrets: Secrets;
  /** Who the workers run as. */
  account: AccountLookup;
  /** Where the workers' output goes. */
  output: WorkerOutput;
  /** Null where systemd has delegated none. */
  cgroup: SlotCgroup | null;
  /** For the sockets of single workers. */
  socketDirectory: string;
}

/** What a service manager told the agent, and means the agent only: systemd.exec(5), "Environment variables in spawned processes". */
const SERVICE_MANAGER = new Set([
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
  "LISTEN_PID",
  "MAINPID",
  "INVOCATION_ID",
  "JOURNAL_STREAM",
  "SYSTEMD_EXEC_PID",
  "CREDENTIALS_DIRECTORY",
  "STATE_DIRECTORY",
  "LOGS_DIRECTORY",
  "RUNTIME_DIRECTORY",
  "CACHE_DIRECTORY",
  "CONFIGURATION_DIRECTORY",
  "FDSTORE",
  "MEMORY_PRESSURE_WATCH",
  "MEMORY_PRESSURE_WRITE",
]);

/** The variable that carries a slot's token. */
export const TOKEN_VARIABLE = "SLOTD_TOKEN";

export function workingDirectory({ tree, config }: WorkerSpec): string {
  return resolve(tree, config.app.working_directory);
}

/** Under what name a worker's output is kept. */
export function writer({ slot, version }: Pick<WorkerSpec, "slot" | "version">, worker: number): Writer {
  return { slot, version, worker };
}

/**
 * The environment of a worker: the agent's own, without what belongs to the agent's service manager, its user's, the configured one, and
 * then what slotd promises: PORT, SLOTD_* and systemd's activation protocol (sd_listen_fds(3); LISTEN_PID is set by the launcher).
 * @param own what is this worker's alone
 */
export function workerEnvironment(
  { slot, version, port, token, config }: Pick<WorkerSpec, "slot" | "version" | "port" | "token" | "config">,
  worker: number,
  inherited: NodeJS.ProcessEnv,
  own: { account: Account | null; secrets: Record<string, string>; variables: Record<string, string> },
): NodeJS.ProcessEnv {
  const { account, secrets, variables } = own;
  const kept = Object.fromEntries(Object.entries(inherited).filter(([name]) => !SERVICE_MANAGER.has(name)));
  return {
    ...kept,
    ...(account && { HOME: account.home, USER: account.name, LOGNAME: account.name, SHELL: account.shell }),
    ...config.app.environment,
    ...secrets,
    PORT: String(port),
    SLOTD_SERVICE: config.service,
    SLOTD_SLOT: slot,
    SLOTD_VERSION: version,
    SLOTD_WORKER: String(worker),
    [TOKEN_VARIABLE]: token,
    LISTEN_FDS: "1",
    LISTEN_FDNAMES: "http",
    ...variables,
  };
}
