/** The thread that unpacks one archive and ends. It reports its progress, then the result. */
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { treeDigest } from "../../../protocol/manifest.ts";
import { setLowIoPriority } from "../../os/io-priority.ts";
import { readManifest, writeManifest } from "../manifest-file.ts";
import { unpackArchive } from "./archive.ts";
import { BaseTree } from "./base-tree.ts";
import { DeltaReader } from "./delta-reader.ts";
import { corrupt, UnpackFailure, type UnpackFault } from "./failure.ts";
import { TreeWriter } from "./tree-writer.ts";
import type { UnpackJob, UnpackReport } from "./unpack.ts";

const ENTRIES_PER_REPORT = 250;
const NICE = 10;

const job = workerData as UnpackJob;
const report = (message: UnpackReport) => parentPort?.postMessage(message);

// On Linux these are the priorities of the calling thread alone, and of what it starts, such as the command zstd.
setPriority(NICE);
setLowIoPriority();

const stop = new AbortController();
parentPort?.once("message", () => stop.abort());

const writer = new TreeWriter(job.tree, job.bounds, (entries) => {
  if (entries % ENTRIES_PER_REPORT === 0) report({ kind: "progress", entries });
});

try {
  const base = job.base && {
    tree: new BaseTree(job.base.tree, job.base.installedAt),
    manifest: await readManifest(job.base.manifest),
  };
  await unpackArchive(job.archive, base ? new DeltaReader(writer, base) : writer, stop.signal);
  if (writer.nodes === 0) throw corrupt("it is empty");
  const entries = writer.manifest;
  const tree = treeDigest(entries);
  writeManifest(job.manifest, { format: 1, version: job.version, tree, entries });
  // The manifest lies on the same file system.
  writer.sync();
  const ownNodes = entries.filter(({ type }) => type !== "file").length;
  report({ kind: "done", entries: writer.entries, bytes: writer.bytes, tree, ownNodes });
} catch (error) {
  report({ kind: "failed", failure: failureOf(error) });
} finally {
  writer.close();
}

function failureOf(error: unknown): UnpackFault {
  if (error instanceof UnpackFailure) return error.failure;
  return { kind: "internal", message: error instanceof Error ? error.message : String(error) };
}
