import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { ThreadInput, ThreadNotice } from "./run-in-thread.ts";

const NICE = 10;

/** What a job gets of its thread. */
export interface InThread {
  /** Throws if the job is no longer wanted. For loops, which get no messages. */
  goOn(): void;
  /** Aborted at the same time, for what waits. */
  signal: AbortSignal;
  onProgress(entries: number): void;
}

/**
 * A thread's side of `runInThread`: does the job once it has its priorities, and reports. Without native libraries, a
 * thread can't set its own I/O priority.
 */
export async function workInThread<Job, Report>(
  work: (job: Job, thread: InThread) => Promise<Report>,
  failed: (error: unknown) => Report,
): Promise<void> {
  const port = parentPort as MessagePort;
  const { job, stop } = workerData as ThreadInput<Job>;
  const post = (message: Report | ThreadNotice) => port.postMessage(message);
  // On Linux this is the priority of the calling thread alone, and of what it starts, such as the command zstd.
  setPriority(NICE);
  const go = once(port, "message");
  post({ kind: "started", tid: Number(readlinkSync("/proc/thread-self").split("/").at(-1)) });
  await go;
  const unwanted = new AbortController();
  port.once("message", () => unwanted.abort());
  port.unref();
  const thread: InThread = {
    goOn() {
      if (Atomics.load(stop, 0) !== 0) unwanted.abort();
      unwanted.signal.throwIfAborted();
    },
    signal: unwanted.signal,
    onProgress: (entries) => post({ kind: "progress", entries }),
  };
  post(await work(job, thread).catch(failed));
}
