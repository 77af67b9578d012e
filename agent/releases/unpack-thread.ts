/** The thread that unpacks one archive and ends. It says how far it is, and then how it went. */
import { setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { type Failure, UnpackFailure } from "./failure.ts";
import { TreeWriter } from "./tree-writer.ts";
import type { UnpackJob, UnpackReport } from "./unpack.ts";
import { unpackArchive } from "./unpack-archive.ts";

const ENTRIES_PER_REPORT = 250;
const NICE = 10;

const job = workerData as UnpackJob;
const report = (message: UnpackReport) => parentPort?.postMessage(message);

// On Linux this is the priority of the calling thread alone.
setPriority(NICE);

const writer = new TreeWriter(job.tree, job.bounds, (entries) => {
  if (entries % ENTRIES_PER_REPORT === 0) report({ kind: "progress", entries });
});

try {
  await unpackArchive(job.archive, writer);
  report({ kind: "done", entries: writer.entries, bytes: writer.bytes });
} catch (error) {
  report({ kind: "failed", failure: failureOf(error) });
}

function failureOf(error: unknown): Failure {
  if (error instanceof UnpackFailure) return error.failure;
  return { kind: "internal", message: error instanceof Error ? error.message : String(error) };
}
