/**
 * Installs a release, and freezes at one point so that a test can kill it right there.
 * argv: state directory, release as JSON, the point: fetching | fetched | unpacking | installed | never. Prints the
 * point when it is there; with `never`, prints `begun` and goes on to its end.
 */
import { writeSync } from "node:fs";
import type { Release } from "../../../../protocol/release.ts";
import { openStore } from "./installing.ts";

const [stateDir, json, point] = process.argv.slice(2) as [string, string, string];
const release = JSON.parse(json) as Release;
const { signal } = new AbortController();

function reach(name: string): void {
  if (name !== point) return;
  writeSync(1, `${name}\n`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const store = await openStore(stateDir);
if (point === "never") writeSync(1, "begun\n");
const fetched = await store.fetch(release, { signal, onProgress: ({ done }) => done > 0 && reach("fetching") });
reach("fetched");
await store.unpack(fetched, { signal, onProgress: () => reach("unpacking") });
reach("installed");
