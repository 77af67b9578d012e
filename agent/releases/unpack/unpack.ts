import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { syncFileSystem } from "../../os/libc.ts";
import type { ReleaseBounds, StepOptions } from "../bounds.ts";
import { diskFull, isDiskFull } from "../disk.ts";
import { runInThread } from "../run-in-thread.ts";
import { toError, type UnpackFault } from "./failure.ts";

/** The thread's input. `tree` is an empty directory. */
export interface UnpackJob {
  version: string;
  archive: string;
  tree: string;
  /** Where the manifest goes. */
  manifest: string;
  /** The base of a delta: the tree, its manifest's file, and when it was installed. */
  base: { tree: string; manifest: string; installedAt: Date } | null;
  bounds: Pick<ReleaseBounds, "maxEntries" | "maxUnpackedBytes">;
}

/** The result of unpacking an archive. */
export interface Unpacked {
  entries: number;
  /** Total size of its files. */
  bytes: number;
  /** The tree's digest. */
  tree: string;
  /** Directories and links in it. */
  ownNodes: number;
}

/** The thread's last message. */
export type UnpackReport = ({ kind: "done" } & Unpacked) | { kind: "failed"; failure: UnpackFault };

/** The map of names grows: an archive that makes it exceed this ends its thread, not the agent. */
const MAX_HEAP_MB = 1024;

/**
 * Unpacks an archive in a thread of its own. When this returns, the tree and its manifest are durable, and the thread
 * has ended; so it has when this throws.
 * @throws ArchiveUnsafeError, ArchiveCorruptError, ReleaseTooLargeError, DiskFullError, InternalError; the signal's
 * reason.
 */
export async function unpackInThread(job: UnpackJob, { signal, onProgress }: StepOptions): Promise<Unpacked> {
  const script = new URL("./unpack-thread.js", import.meta.url);
  const report = await runInThread<UnpackJob, UnpackReport>(script, job, "unpacking", {
    signal,
    maxHeapMb: MAX_HEAP_MB,
    onProgress: (entries) => onProgress({ done: entries, total: 0 }),
  });
  if (report.kind === "failed") throw await toError(report.failure, job.tree);
  await makeDurable(job.tree);
  onProgress({ done: report.entries, total: report.entries });
  return report;
}

/** One call for the whole file system rather than one per file. The manifest lies on the same one. */
async function makeDurable(tree: string): Promise<void> {
  const directory = await open(tree, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncFileSystem(directory.fd);
  } catch (error) {
    throw isDiskFull(error) ? await diskFull(tree, "writing the release found it full", error) : error;
  } finally {
    await directory.close();
  }
}
