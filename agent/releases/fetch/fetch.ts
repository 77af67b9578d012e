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
 * Brings a release's archive to `path`, and leaves it there only with the ordered size and digest. At most one chunk is
 * in memory. Its sources are tried one after the other, each a few times with jittered pauses between, and each goes on
 * where what is here ends, if it can. Bytes that came in parts, or from several sources, may not belong together, which
 * the digest tells: then each source is asked for the whole.
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
  /** By source: the last thing that was wrong with it. */
  faults: Map<string, SourceFault>;
}

/** Goes through the sources that may still have it. `mixed`: all bytes came, in parts that do not belong together. */
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
    // Nothing is worth keeping of what is something else.
    if (fault.kind === "size" || fault.kind === "digest") await copy.clear();
  }
  return "failed";
}

/** Tries one source until all bytes are here (null), or its attempts are used up, or no other would help. */
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
    // Where ranges can't be relied on, there is still the whole.
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
