import { Worker } from "node:worker_threads";
import { InternalError } from "../../../protocol/errors.ts";
import type { Difference } from "../../../protocol/release-status.ts";

/** The thread's input: a release's tree, and the file of its manifest. */
export interface AuditJob {
  tree: string;
  manifest: string;
  /** Whether to read and hash contents; otherwise only metadata is checked. */
  contents: boolean;
}

/** The thread's only message. */
export type AuditReport =
  | { kind: "done"; bytes: number; sharedBytes: number; differences: Difference[] }
  | { kind: "failed"; message: string };

/**
 * Checks a release's tree in a thread of its own, at low priority.
 * @returns the bytes in its files, how many of them are shared with other releases, and where the tree differs from its
 * manifest.
 * @throws InternalError if it can't be read; the signal's reason.
 */
export async function audit(job: AuditJob, signal: AbortSignal): Promise<Extract<AuditReport, { kind: "done" }>> {
  signal.throwIfAborted();
  const thread = new Worker(new URL("./audit-thread.js", import.meta.url), { workerData: job, execArgv: [] });
  try {
    const report = await new Promise<AuditReport>((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      thread.once("message", resolve);
      thread.once("error", reject);
      thread.once("exit", () => {
        signal.removeEventListener("abort", onAbort);
        reject(new InternalError("the auditing thread ended and said nothing"));
      });
    });
    if (report.kind === "failed") throw new InternalError(`${job.tree} can't be looked through: ${report.message}`);
    return report;
  } finally {
    await thread.terminate();
  }
}
