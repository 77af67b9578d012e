import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { CommandNotFoundError, toSlotdError } from "../../protocol/index.ts";
import type { Account } from "../os/account.ts";
import type { Cgroup } from "../os/cgroup.ts";
import { type WorkerSpec, workerEnvironment, workingDirectory, writer } from "./spec.ts";

/**
 * What is done by the process itself, before it becomes the worker: only it knows its own pid, and only while it has the agent's rights
 * can it enter its control group. An agent that is spared when memory runs out does not hand that on. Each command after it becomes the next.
 */
const LAUNCHER = [
  'read -r adjust </proc/$$/oom_score_adj && [ "$adjust" -ge 0 ] || echo 0 >/proc/$$/oom_score_adj',
  '[ -z "$1" ] || echo 0 >"$1/cgroup.procs" || exit 125',
  '[ -z "$2" ] || umask "$2"',
  "shift 2",
  '[ -z "$WATCHDOG_USEC" ] || export WATCHDOG_PID=$$',
  'export LISTEN_PID=$$; exec "$@"',
].join("\n");

export interface Launch {
  number: number;
  account: Account | null;
  cgroup: Cgroup | null;
  /** Variables of this worker alone. */
  variables: Record<string, string>;
  /** Descriptors that it inherits, from 3 on; the slot's socket is the first. */
  descriptors: readonly number[];
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * Starts a worker's process, as the leader of a session of its own.
 * @throws CommandNotFoundError, SecretUnreadableError, or the spawn's error, for example EAGAIN.
 */
export async function launch(
  spec: WorkerSpec,
  { number, account, cgroup, variables, descriptors }: Launch,
): Promise<{ pid: number; exited: Promise<Exit> }> {
  const { app } = spec.config;
  const secrets = spec.secrets.read();
  const output = spec.output.open(writer(spec, number));
  let child: ChildProcess;
  try {
    const own = [cgroup?.path ?? "", app.umask ?? "", ...limited(spec), ...privileged(spec, account)];
    child = spawn("/bin/sh", ["-c", LAUNCHER, "sh", ...own, ...app.command], {
      cwd: workingDirectory(spec),
      env: workerEnvironment(spec, number, process.env, { account, secrets, variables }),
      detached: true,
      stdio: ["ignore", output, output, ...descriptors],
    });
  } finally {
    closeSync(output);
  }
  const exited = new Promise<Exit>((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  await new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(spawnError(spec, error)));
  });
  // The agent's end must not wait for its workers.
  child.unref();
  return { pid: child.pid as number, exited };
}

/** prlimit(1), where limits are configured. */
function limited({ config: { limits } }: WorkerSpec): string[] {
  const options = [
    ...(limits.nofile === undefined ? [] : [`--nofile=${limits.nofile}:${limits.nofile}`]),
    ...(limits.core_bytes === undefined ? [] : [`--core=${limits.core_bytes}:${limits.core_bytes}`]),
  ];
  return options.length > 0 ? ["prlimit", ...options] : [];
}

/** setpriv(1): the configured user, with no capability left, and no way to more. */
function privileged({ config: { app } }: WorkerSpec, account: Account | null): string[] {
  const user = account && [
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    account.groups.length > 0 ? `--groups=${account.groups.join(",")}` : "--clear-groups",
    "--inh-caps=-all",
  ];
  const options = [...(user ?? []), ...(app.no_new_privileges ? ["--no-new-privs"] : [])];
  return options.length > 0 ? ["setpriv", ...options, "--"] : [];
}

function spawnError(spec: WorkerSpec, error: NodeJS.ErrnoException) {
  if (!["ENOENT", "EACCES", "ENOTDIR"].includes(error.code ?? "")) return toSlotdError(error);
  return new CommandNotFoundError(spec.config.app.command[0] ?? "", `working directory or shell: ${error.code}`);
}
