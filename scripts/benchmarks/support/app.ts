import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeRelease, repository } from "../../../test/support/release.ts";
import { until } from "../../../test/support/until.ts";
import { readIfThere } from "./processes.ts";

/** The app that all subjects serve. */
export const appFile = join(repository, "scripts/benchmarks/apps/app.mjs");

export function releaseOfApp(into: string, version: string) {
  return makeRelease(into, version, { files: { "app.mjs": readFileSync(appFile, "utf8") } });
}

/** How many requests each of these workers has served so far; they write it into `directory` when they get SIGUSR2. */
export async function countsOf(pids: readonly number[], directory: string): Promise<number[]> {
  for (const pid of pids) rmSync(join(directory, String(pid)), { force: true });
  for (const pid of pids) process.kill(pid, "SIGUSR2");
  return until("all workers have told their counts", () => {
    const counts = pids.map((pid) => readIfThere(join(directory, String(pid))));
    return counts.includes(null) ? null : counts.map(Number);
  });
}

/** Waits until something answers with 200 on a port of this host. */
export async function untilAnswers(port: number): Promise<void> {
  await until(`port ${port} answers`, async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
}
