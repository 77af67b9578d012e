import { setTimeout as sleep } from "node:timers/promises";
import { ReleaseTooLargeError } from "../../../protocol/errors.ts";
import type { Archive } from "../../../protocol/release.ts";
import type { ReleaseBounds, StepOptions } from "../bounds.ts";
import { copyOnce, type Way } from "./attempt.ts";
import { ArchiveCopy } from "./copy.ts";
import { fetchError } from "./error.ts";
import type { ObjectSource } from "./opened.ts";
import { otherDigest, SourceFault } from "./source-fault.ts";

const BACKOFF_BASE_MS = 250;
const BACKOFF_CAP_MS = 10_000;

/** @throws ReleaseTooLargeError before a byte is asked for. */
export function requireArchiveBound(release: Archive, bounds: ReleaseBounds): void {
  if (release.sizeBytes <= bounds.maxArchiveBytes) return;
  throw new ReleaseTooLargeError(`the archive of ${release.version}`, "max_archive_bytes", bounds.maxArchiveBytes);
}

/**
 * Fetches a release's archive to `path`, and leaves it there only if it has the ordered size and digest. At most one
 * chunk is in memory. Tries the sources one after the other, each a few times with jittered pauses, resuming where the
 * previous attempt stopped. Parts from several responses or sources may not belong together: if the digest says so,
 * each source is asked for the whole archive.
 * @throws ReleaseNotFoundError, ReleaseUnreachableError, SizeMismatchError, DigestMismatchError, ConfigInvalidError
 * (the headers' file), which name every source; the signal's reason; what the file system says.
 */
export async function fetchArchive(
  release: Archive,
  path: string,
  bounds: ReleaseBounds,
  objects: ObjectSource,
  options: StepOptions,
): Promise<void> {
  options.signal.throwIfAborted();
  const copy = await ArchiveCopy.create(path);
  try {
    const faults = new Map<string, SourceFault>();
    const fetching = { release, bounds, objects, copy, faults, ...options };
    let outcome = await pass(fetching, true);
    if (outcome === "mixed") {
      await copy.clear();
      outcome = await pass(fetching, false);
    }
    if (outcome !== "fetched") throw fetchError(release, faults);
  } finally {
    await copy.close();
  }
}

interface Fetching extends Way, StepOptions {
  /** The last fault of each source. */
  faults: Map<string, SourceFault>;
}

/** Tries the sources that may still have it. `mixed`: all bytes arrived, but the parts do not belong together. */
async function pass(fetching: Fetching, resume: boolean): Promise<"fetched" | "mixed" | "failed"> {
  const { release, copy, faults } = fetching;
  for (const url of new Set([release.url, ...(release.mirrors ?? [])])) {
    if (faults.get(url)?.mayPass === false) continue;
    let fault = await exhaust(url, fetching, resume);
    if (fault === null) {
      const actual = copy.sha256();
      if (actual === release.sha256) return "fetched";
      if (copy.parts > 1) return "mixed";
      fault = otherDigest(actual);
    }
    faults.set(url, fault);
    // A different archive: no part of it is worth keeping.
    if (fault.kind === "size" || fault.kind === "digest") await copy.clear();
  }
  return "failed";
}

/** Tries one source until all bytes are here (null), its attempts are used up, or another attempt would not help. */
async function exhaust(url: string, fetching: Fetching, resume: boolean): Promise<SourceFault | null> {
  const { release, bounds, copy, signal } = fetching;
  const source = { url, resume, validator: null };
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const fault = await copyOnce(source, fetching);
    signal.throwIfAborted();
    if (fault === null) return null;
    if (!fault.mayPass) return fault;
    // It broke off after the last byte.
    if (copy.kept === release.sizeBytes) return null;
    // If ranges are unreliable, the whole archive can still be requested.
    if (fault.kind === "ranges") source.resume = false;
    if (attempt >= bounds.fetchAttempts) {
      const count = attempt === 1 ? "" : `, the last of ${attempt} attempts`;
      return new SourceFault(fault.kind, `${fault.message}${count}`, { cause: fault.cause });
    }
    await pause(attempt, signal);
  }
}

async function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1));
  try {
    await sleep(ceilingMs * (0.5 + Math.random() / 2), undefined, { signal });
  } catch {
    throw signal.reason;
  }
}
