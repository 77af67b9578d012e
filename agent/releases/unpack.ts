import { Worker } from "node:worker_threads";
import { InternalError } from "../../protocol/errors.ts";
import type { ReleaseBounds, StepOptions } from "./bounds.ts";
import { type Failure, toError } from "./failure.ts";

/** What the thread is told. `tree` is an empty directory. */
export interface UnpackJob {
  archive: string;
  tree: string;
  bounds: Pick<ReleaseBounds, "maxEntries" | "maxUnpackedBytes">;
}

/** What the thread says: any number of `progress`, then one of the others. */
export type UnpackReport =
  | { kind: "progress"; entries: number }
  | { kind: "done"; entries: number; bytes: number }
  | { kind: "failed"; failure: Failure };

/** The map of names is what grows: an archive that makes it outgrow this ends its thread, not the agent. */
const MAX_HEAP_MB = 1024;

/**
 * Unpacks an archive in a thread of its own. When this returns or throws, the thread is gone and writes no more.
 * @returns the archive's entries, and the bytes of its files.
 * @throws ArchiveUnsafeError, ArchiveCorruptError, ReleaseTooLargeError, DiskFullError, InternalError; the signal's reason.
 */
export async function unpackInThread(
  job: UnpackJob,
  { signal, onProgress }: StepOptions,
): Promise<{ entries: number; bytes: number }> {
  signal.throwIfAborted();
  const thread = new Worker(new URL("./unpack-thread.js", import.meta.url), {
    workerData: job,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  try {
    const end = await endOf(thread, signal, onProgress);
    if (end.kind === "failed") throw await toError(end.failure, job.tree);
    onProgress({ done: end.entries, total: end.entries });
    return end;
  } finally {
    await thread.terminate();
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
      // What was under way when it was aborted is of no interest, and must not be told after the end.
      else if (!signal.aborted) onProgress({ done: report.entries, total: 0 });
    });
    thread.on("error", (cause) => reject(new InternalError(`unpacking failed: ${cause.message}`, { cause })));
    thread.on("exit", (code) => {
      ended();
      reject(new InternalError(`the unpacking thread ended with code ${code} and said nothing`));
    });
  });
}
