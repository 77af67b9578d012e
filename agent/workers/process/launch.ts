import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync } from "node:fs";
import { CommandNotFoundError, toSlotdError } from "../../../protocol/errors.ts";
import type { Account } from "../../os/account.ts";
import type { Cgroup } from "../../os/cgroup.ts";
import type { OutputStart } from "../../output/worker-output.ts";
import { listeningVariables } from "./listening.ts";
import { type WorkerSpec, workerEnvironment, workingDirectory, writer } from "./spec.ts";

/** Absolute paths: a program that the app's PATH leads to must not run with the agent's rights. */
const PRLIMIT = "/usr/bin/prlimit";
const SETPRIV = "/usr/bin/setpriv";

/**
 * What the process does itself before it becomes the worker: only it knows its own pid, and it can enter its control
 * group only while it has the agent's rights. A negative OOM score of the agent is reset. Each command that follows
 * execs the next.
 */
const LAUNCHER = [
  // Its one variable has a name that no app's can have.
  'read -r SLOTD_ADJUST </proc/$$/oom_score_adj && [ "$SLOTD_ADJUST" -ge 0 ] || echo 0 >/proc/$$/oom_score_adj',
  "unset SLOTD_ADJUST",
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
  inheritance: Inheritance;
}

/** Descriptors, in their order from 3 on, and variables that a worker is started with. */
export interface Inheritance {
  descriptors: readonly { name: string; fd: number }[];
  variables: Record<string, string>;
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
  { number, account, cgroup, inheritance: { descriptors, variables } }: Launch,
): Promise<{ pid: number; exited: Promise<Exit>; outputStart: OutputStart }> {
  const { app } = spec.config;
  const secrets = spec.secrets.readValues();
  const { fd: output, start: outputStart } = spec.output.open(writer(spec, number));
  let child: ChildProcess;
  try {
    const own = [cgroup?.path ?? "", app.umask ?? "", ...limited(spec), ...privileged(spec, account)];
    child = spawn("/bin/sh", ["-c", LAUNCHER, "sh", ...own, ...app.command], {
      cwd: workingDirectory(spec),
      env: workerEnvironment(spec, number, process.env, {
        account,
        secrets,
        listening: listeningVariables(spec, { ...process.env, ...app.environment, ...secrets }, descriptors),
        variables: { ...variables, ...journaldStream(output) },
      }),
      detached: true,
      stdio: ["ignore", output, output, ...descriptors.map(({ fd }) => fd)],
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
  return { pid: child.pid as number, exited, outputStart };
}

/** Tells a program that it writes to journald, so that it may prefix its lines with a priority: systemd.exec(5). */
function journaldStream(output: number): Record<string, string> {
  const stats = fstatSync(output, { bigint: true });
  return stats.isSocket() ? { JOURNAL_STREAM: `${stats.dev}:${stats.ino}` } : {};
}

/** prlimit(1), where limits are configured. */
function limited({ config: { limits } }: WorkerSpec): string[] {
  const options = [
    ...(limits.nofile === undefined ? [] : [`--nofile=${limits.nofile}:${limits.nofile}`]),
    ...(limits.core_bytes === undefined ? [] : [`--core=${limits.core_bytes}:${limits.core_bytes}`]),
  ];
  return options.length > 0 ? [PRLIMIT, ...options] : [];
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
  return options.length > 0 ? [SETPRIV, ...options, "--"] : [];
}

function spawnError(spec: WorkerSpec, error: NodeJS.ErrnoException) {
  if (!["ENOENT", "EACCES", "ENOTDIR"].includes(error.code ?? "")) return toSlotdError(error);
  return new CommandNotFoundError(spec.config.app.command[0] ?? "", `working directory or shell: ${error.code}`);
}
