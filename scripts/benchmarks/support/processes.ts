import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allPids, identify, isAlive, type ProcessIdentity, processStat } from "../../../agent/os/process.ts";
import { until } from "../../../test/support/until.ts";
import type { Run } from "./run.ts";

/** A directory that goes with the run. */
export function temporaryDirectory(run: Run, what: string): string {
  const directory = mkdtempSync(join(tmpdir(), `slotd-bench-${what}-`));
  run.own(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** A process that ends with the run at the latest. */
export async function start(run: Run, command: string, args: string[], options: SpawnOptions): Promise<ChildProcess> {
  run.signal.throwIfAborted();
  const child = spawn(command, args, options);
  run.own(() => end(child));
  await once(child, "spawn");
  return child;
}

export async function end(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const insist = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await exited;
  clearTimeout(insist);
}

/** The living children of a process, as they are now. */
export function childrenOf(pid: number): ProcessIdentity[] {
  return identifyAll(allPids().filter((child) => processStat(child)?.parent === pid));
}

/** Those of these processes that are there now. */
export function identifyAll(pids: readonly number[]): ProcessIdentity[] {
  return pids.map(identify).filter((identity) => identity !== null);
}

/** Waits until processes are gone; what is left after a while is killed, if it is still the same process. */
export async function untilGone(identities: readonly ProcessIdentity[], withinMs: number): Promise<void> {
  const left = () => identities.filter(isAlive);
  await until("processes are gone", () => left().length === 0, { timeoutMs: withinMs }).catch(() => {
    for (const { pid } of left()) process.kill(pid, "SIGKILL");
  });
}

/** SIGKILL to processes that may have ended since; returns when they are gone. */
export async function killAll(identities: readonly ProcessIdentity[]): Promise<void> {
  for (const identity of identities) if (isAlive(identity)) process.kill(identity.pid, "SIGKILL");
  await until("killed processes are gone", () => !identities.some(isAlive), { everyMs: 2 });
}

/** A file's text, or null where there is none. */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
