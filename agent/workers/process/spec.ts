import { resolve } from "node:path";
import type { RunConfig } from "../../config/release-config.ts";
import type { Account, AccountLookup } from "../../os/account.ts";
import type { WorkerOutput, Writer } from "../../output/worker-output.ts";
import type { SlotCgroup } from "./cgroups.ts";
import type { Secrets } from "./secrets.ts";
import { TOKEN_VARIABLE } from "./token.ts";

/** All that a worker of a slot needs to know to be started. */
export interface WorkerSpec {
  slot: string;
  version: string;
  /** The release's files. */
  tree: string;
  /** The slot's. */
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

/**
 * What a service manager told the agent, and means the agent only: systemd.exec(5), "Environment variables in spawned
 * processes".
 */
const SERVICE_MANAGER = new Set([
  "NOTIFY_SOCKET",
  "WATCHDOG_USEC",
  "WATCHDOG_PID",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
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

export function workingDirectory({ tree, config }: WorkerSpec): string {
  return resolve(tree, config.app.working_directory);
}

/** Under what name a worker's output is kept. */
export function writer({ slot, version }: Pick<WorkerSpec, "slot" | "version">, worker: number): Writer {
  return { slot, version, worker };
}

/** What is one worker's own in its environment. */
export interface OwnEnvironment {
  account: Account | null;
  secrets: Record<string, string>;
  /** What tells it where to listen. */
  listening: Record<string, string>;
  /** For example PORT and NOTIFY_SOCKET. */
  variables: Record<string, string>;
}

/**
 * The environment of a worker. Later sources win: the agent's own environment, without what belongs to the agent's
 * service manager; the worker's account; the configured variables; secrets; and then what slotd promises: SLOTD_*,
 * where to listen (see `listeningVariables`) and the worker's own variables.
 */
export function workerEnvironment(
  { slot, version, token, config }: Pick<WorkerSpec, "slot" | "version" | "token" | "config">,
  worker: number,
  inherited: NodeJS.ProcessEnv,
  { account, secrets, listening, variables }: OwnEnvironment,
): NodeJS.ProcessEnv {
  const kept = Object.fromEntries(Object.entries(inherited).filter(([name]) => !SERVICE_MANAGER.has(name)));
  return {
    ...kept,
    ...(account && { HOME: account.home, USER: account.name, LOGNAME: account.name, SHELL: account.shell }),
    ...config.app.environment,
    ...secrets,
    SLOTD_SERVICE: config.service,
    SLOTD_SLOT: slot,
    SLOTD_VERSION: version,
    SLOTD_WORKER: String(worker),
    [TOKEN_VARIABLE]: token,
    ...listening,
    ...variables,
  };
}
