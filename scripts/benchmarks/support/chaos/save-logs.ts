import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../../../test/support/release.ts";
import type { ChaosFleet } from "./fleet.ts";

/** Keeps what a miss is explained by. @returns the directory */
export function saveLogs({ hosts, edge }: ChaosFleet, seed: number, found: unknown): string {
  const directory = join(repository, ".cache/bench/chaos", String(seed));
  mkdirSync(directory, { recursive: true });
  for (const host of hosts) copyFileSync(host.logFile, join(directory, `agent-${host.name}.log`));
  writeFileSync(join(directory, "edge.log"), edge.log());
  writeFileSync(join(directory, "found.json"), JSON.stringify(found, null, 1));
  return directory;
}
