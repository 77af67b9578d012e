/** The thread that checks a release's tree and ends. */
import { createHash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import type { ManifestEntry } from "../../../protocol/manifest.ts";
import type { Difference } from "../../../protocol/release-status.ts";
import { setLowIoPriority } from "../../os/io-priority.ts";
import { readManifest } from "../manifest-file.ts";
import type { AuditJob, AuditReport } from "./audit.ts";

const NICE = 10;
const CHUNK_BYTES = 1024 ** 2;
/** Further differences are counted, but not named. */
const MAX_NAMED = 1_000;

const { tree, manifest, contents } = workerData as AuditJob;
const differences: Difference[] = [];
const buffer = Buffer.alloc(CHUNK_BYTES);

setPriority(NICE);
setLowIoPriority();

try {
  parentPort?.postMessage(await look());
} catch (error) {
  parentPort?.postMessage({ kind: "failed", message: (error as Error).message } satisfies AuditReport);
}

async function look(): Promise<AuditReport> {
  const { entries } = await readManifest(manifest);
  const named = new Set<string>();
  let [bytes, sharedBytes] = [0, 0];
  for (const entry of entries) {
    named.add(entry.path);
    const stats = lstatSync(join(tree, entry.path), { throwIfNoEntry: false });
    const what = stats ? difference(entry, stats) : "missing";
    if (what) differences.push({ path: entry.path, what });
    if (!stats?.isFile()) continue;
    bytes += stats.size;
    if (stats.nlink > 1) sharedBytes += stats.size;
  }
  for (const path of pathsIn("")) if (!named.has(path)) differences.push({ path, what: "extra" });
  return { kind: "done", bytes, sharedBytes, differences: differences.slice(0, MAX_NAMED) };
}

function difference(entry: ManifestEntry, stats: NonNullable<ReturnType<typeof lstatSync>>): Difference["what"] | null {
  const path = join(tree, entry.path);
  const mode = Number(stats.mode) & 0o7777;
  switch (entry.type) {
    case "directory":
      if (!stats.isDirectory()) return "type";
      return mode === entry.mode ? null : "mode";
    case "symlink":
      if (!stats.isSymbolicLink()) return "type";
      return readlinkSync(path) === entry.target ? null : "content";
    case "file":
      if (!stats.isFile()) return "type";
      if (Number(stats.size) !== entry.sizeBytes) return "content";
      if (contents && hashOf(path) !== entry.sha256) return "content";
      return mode === entry.mode ? null : "mode";
    default:
      return entry satisfies never;
  }
}

function hashOf(path: string): string {
  const hash = createHash("sha256");
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}

function* pathsIn(directory: string): Generator<string> {
  for (const entry of readdirSync(join(tree, directory), { withFileTypes: true })) {
    const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
    yield path;
    if (entry.isDirectory()) yield* pathsIn(path);
  }
}
