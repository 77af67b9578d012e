import { InternalError } from "../../../protocol/errors.ts";
import type { Difference } from "../../../protocol/release-status.ts";
import { runInThread } from "../run-in-thread.ts";

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
  const script = new URL("./audit-thread.js", import.meta.url);
  const report = await runInThread<AuditJob, AuditReport>(script, job, `checking ${job.tree}`, { signal });
  if (report.kind === "failed") throw new InternalError(`${job.tree} can't be checked: ${report.message}`);
  return report;
}
