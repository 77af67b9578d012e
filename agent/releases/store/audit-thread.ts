/** The thread that checks a release's tree and ends. */
import { createHash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import type { ManifestEntry } from "../../../protocol/manifest.ts";
import type { Difference } from "../../../protocol/release-status.ts";
import { readManifest } from "../manifest-file.ts";
import { type InThread, workInThread } from "../work-in-thread.ts";
import type { AuditJob, AuditReport } from "./audit.ts";

const CHUNK_BYTES = 1024 ** 2;
/** Further differences are counted, but not named. */
const MAX_NAMED = 1_000;

const buffer = Buffer.alloc(CHUNK_BYTES);

await workInThread<AuditJob, AuditReport>(audit, (error) => ({ kind: "failed", message: (error as Error).message }));

async function audit({ tree, manifest, contents }: AuditJob, { goOn }: InThread): Promise<AuditReport> {
  const { entries } = await readManifest(manifest);
  const differences: Difference[] = [];
  const named = new Set<string>();
  let [bytes, sharedBytes] = [0, 0];
  for (const entry of entries) {
    goOn();
    named.add(entry.path);
    const path = join(tree, entry.path);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const what = stats ? difference(path, entry, stats, contents && goOn) : "missing";
    if (what) differences.push({ path: entry.path, what });
    if (!stats?.isFile()) continue;
    bytes += stats.size;
    if (stats.nlink > 1) sharedBytes += stats.size;
  }
  for (const path of pathsIn(tree, "")) {
    goOn();
    if (!named.has(path)) differences.push({ path, what: "extra" });
  }
  return { kind: "done", bytes, sharedBytes, differences: differences.slice(0, MAX_NAMED) };
}

/** @param goOn called between chunks of content; false: content is not read */
function difference(
  path: string,
  entry: ManifestEntry,
  stats: Stats,
  goOn: (() => void) | false,
): Difference["what"] | null {
  const mode = stats.mode & 0o7777;
  switch (entry.type) {
    case "directory":
      if (!stats.isDirectory()) return "type";
      return mode === entry.mode ? null : "mode";
    case "symlink":
      if (!stats.isSymbolicLink()) return "type";
      return readlinkSync(path) === entry.target ? null : "content";
    case "file":
      if (!stats.isFile()) return "type";
      if (stats.size !== entry.sizeBytes) return "content";
      if (goOn && hashOf(path, goOn) !== entry.sha256) return "content";
      return mode === entry.mode ? null : "mode";
    default:
      return entry satisfies never;
  }
}

function hashOf(path: string, goOn: () => void): string {
  const hash = createHash("sha256");
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) {
      goOn();
      hash.update(buffer.subarray(0, read));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest("hex");
}

function* pathsIn(tree: string, directory: string): Generator<string> {
  for (const entry of readdirSync(join(tree, directory), { withFileTypes: true })) {
    const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
    yield path;
    if (entry.isDirectory()) yield* pathsIn(tree, path);
  }
}
