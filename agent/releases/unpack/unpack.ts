import { Worker } from "node:worker_threads";
import { InternalError } from "../../../protocol/errors.ts";
import type { ReleaseBounds, StepOptions } from "../bounds.ts";
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

/** The thread's messages: any number of `progress`, then one of the others. */
export type UnpackReport =
  | { kind: "progress"; entries: number }
  | ({ kind: "done" } & Unpacked)
  | { kind: "failed"; failure: UnpackFault };

/**
 * How long an unwanted thread may take to end. At low priority on a busy host that is long; terminating it instead
 * would leave the command that decompresses as a zombie.
 */
const STOP_MS = 30_000;
/** The map of names grows: an archive that makes it exceed this ends its thread, not the agent. */
const MAX_HEAP_MB = 1024;

/**
 * Unpacks an archive in a thread of its own. When this returns or throws, the thread has ended.
 * @throws ArchiveUnsafeError, ArchiveCorruptError, ReleaseTooLargeError, DiskFullError, InternalError; the signal's
 * reason.
 */
export async function unpackInThread(job: UnpackJob, { signal, onProgress }: StepOptions): Promise<Unpacked> {
  signal.throwIfAborted();
  const thread = new Worker(new URL("./unpack-thread.js", import.meta.url), {
    workerData: job,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const exited = new Promise((resolve) => thread.once("exit", resolve));
  try {
    const end = await endOf(thread, signal, onProgress);
    if (end.kind === "failed") throw await toError(end.failure, job.tree);
    onProgress({ done: end.entries, total: end.entries });
    return end;
  } finally {
    // It ends by itself, with what it started, unless one call takes long.
    thread.postMessage("stop");
    const timer = setTimeout(() => void thread.terminate(), STOP_MS);
    await exited;
    clearTimeout(timer);
  }
}

function endOf(
  thread: Worker,
  signal: AbortSignal,
  onProgress: StepOptions["onProgress"],
): Promise<Exclude<UnpackReport, { kind: "progress" }>> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    const ended = () => signal.removeEventListener("abort", onAbort);
    thread.on("message", (report: UnpackReport) => {
      if (report.kind !== "progress") resolve(report);
      // Progress that arrives after an abort must not be reported.
      else if (!signal.aborted) onProgress({ done: report.entries, total: 0 });
    });
    thread.on("error", (cause) => reject(new InternalError(`unpacking failed: ${cause.message}`, { cause })));
    thread.on("exit", (code) => {
      ended();
      reject(new InternalError(`the unpacking thread ended with code ${code} and said nothing`));
    });
  });
}
