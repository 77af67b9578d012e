import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Release } from "../../../protocol/release.ts";
import { PATIENCE_MS, until } from "../until.ts";
import type { Owner } from "./owner.ts";

const CHILD = fileURLToPath(new URL("./crash-child.js", import.meta.url));
const HOOK = new URL("./crash-hook.js", import.meta.url).href;
/** More than this is a hang. */
const CHILD_TIMEOUT_MS = PATIENCE_MS;

/** A step of an install and how long it took. */
export interface Step {
  name: string;
  ms: number;
}

/** A process that installs and cleans up, and what it has said, when. */
interface Child {
  process: ChildProcess;
  said: { name: string; atMs: number }[];
  ended: Promise<unknown>;
}

/** Installs in a process of its own and kills that. Each returns what the process had begun last. */
export class Kills {
  constructor(
    private readonly owner: Owner,
    private readonly store: string,
  ) {}

  /** Kills it just before one of the calls that `listBoundaries` found. */
  async atCall(release: Release, call: string): Promise<string> {
    const at = call.split(" ")[0] as string;
    const { process: child, said, ended } = await spawnChild(this.owner, this.store, release, { CRASH_AT: at });
    await ended;
    if (child.signalCode !== "SIGKILL") throw new Error(`the process ended before ${call}`);
    return said.at(-1)?.name ?? "nothing";
  }

  /** Kills it so many milliseconds after it had begun a step. */
  async after(release: Release, step: string, ms: number): Promise<string> {
    const { process: child, said, ended } = await spawnChild(this.owner, this.store, release, {});
    await until(`the process says "${step}"`, () => said.some(({ name }) => name === step), { everyMs: 1 });
    await sleep(ms, undefined, { signal: this.owner.signal });
    child.kill("SIGKILL");
    await ended;
    return said.at(-1)?.name ?? "nothing";
  }
}

/**
 * All calls by which an undisturbed install and clean-up change the store, in their order: `main:N name` or `thread:N
 * name`.
 */
export async function listBoundaries(owner: Owner, store: string, release: Release, log: string): Promise<string[]> {
  await undisturbed(await spawnChild(owner, store, release, { CRASH_LOG: log }));
  return readFileSync(log, "utf8").trim().split("\n");
}

/** The steps of an undisturbed install and clean-up. */
export async function timeUndisturbed(owner: Owner, store: string, release: Release): Promise<Step[]> {
  const child = await spawnChild(owner, store, release, {});
  await undisturbed(child);
  return child.said.slice(0, -1).map(({ name, atMs }, i) => ({ name, ms: (child.said[i + 1]?.atMs ?? atMs) - atMs }));
}

async function undisturbed({ process: child, said, ended }: Child): Promise<void> {
  await ended;
  const last = said.at(-1)?.name;
  if (child.exitCode !== 0 || last !== "done")
    throw new Error(`the process ended with ${child.exitCode} after "${last}"`);
}

async function spawnChild(
  owner: Owner,
  store: string,
  release: Release,
  crash: Record<string, string>,
): Promise<Child> {
  const hooked = Object.keys(crash).length > 0;
  owner.signal.throwIfAborted();
  const child = spawn(process.execPath, [CHILD, store, JSON.stringify(release)], {
    stdio: ["ignore", "pipe", "inherit"],
    // Node's own variable, since threads are hooked by it too.
    env: { ...process.env, ...(hooked && { NODE_OPTIONS: `--import=${HOOK}` }), CRASH_DIRECTORY: store, ...crash },
    timeout: CHILD_TIMEOUT_MS,
    killSignal: "SIGTERM",
  });
  owner.own(() => child.kill("SIGKILL"));
  const said: Child["said"] = [];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    for (const name of text.trim().split("\n")) said.push({ name, atMs: performance.now() });
  });
  return { process: child, said, ended: once(child, "close") };
}
