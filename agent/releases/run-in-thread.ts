import { Worker } from "node:worker_threads";
import { InternalError } from "../../protocol/errors.ts";
import { setLowIoPriority } from "../os/io-priority.ts";

/** What a thread is started with. A value other than 0 in `stop` tells it to end. */
export interface ThreadInput<Job> {
  job: Job;
  stop: Int32Array;
}

/** What a thread says besides its report: its id in the kernel, before it begins; then any number of entries done. */
export type ThreadNotice = { kind: "started"; tid: number } | { kind: "progress"; entries: number };

export interface ThreadOptions {
  signal: AbortSignal;
  onProgress?(entries: number): void;
  maxHeapMb?: number;
}

/**
 * Runs a job in a thread of its own, at low priority. When this returns or throws, the thread has ended. It is asked to
 * end, never terminated: terminating a thread while it loads a native library aborts the whole process. Threads load
 * none; what needs one is done here.
 * @param script a module that calls `workInThread`
 * @param what completes "… failed"
 * @returns the thread's report.
 * @throws InternalError if it ends without one; the signal's reason.
 */
export async function runInThread<Job, Report extends { kind: string }>(
  script: URL,
  job: Job,
  what: string,
  { signal, onProgress, maxHeapMb }: ThreadOptions,
): Promise<Report> {
  signal.throwIfAborted();
  const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const thread = new Worker(script, {
    workerData: { job, stop } satisfies ThreadInput<Job>,
    execArgv: [],
    ...(maxHeapMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } }),
  });
  let report: Report | undefined;
  let failure: Error | undefined;
  thread.on("error", (cause: Error) => {
    failure = new InternalError(`${what} failed: ${cause.message}`, { cause });
  });
  thread.on("message", (message: Report | ThreadNotice) => {
    if (isStart(message)) {
      setLowIoPriority(message.tid);
      thread.postMessage("go");
    } else if (!isProgress(message)) report = message;
    // Progress that arrives after an abort must not be reported.
    else if (!signal.aborted) onProgress?.(message.entries);
  });
  // A loop sees the value; what waits gets the message.
  const end = () => {
    Atomics.store(stop, 0, 1);
    thread.postMessage("stop");
  };
  signal.addEventListener("abort", end);
  const code = await new Promise((resolve) => thread.once("exit", resolve));
  signal.removeEventListener("abort", end);
  signal.throwIfAborted();
  if (report) return report;
  throw failure ?? new InternalError(`${what} failed: its thread ended with code ${code} and without a report`);
}

function isStart(message: { kind: string }): message is ThreadNotice & { kind: "started" } {
  return message.kind === "started";
}

function isProgress(message: { kind: string }): message is ThreadNotice & { kind: "progress" } {
  return message.kind === "progress";
}
