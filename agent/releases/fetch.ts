import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import {
  DigestMismatchError,
  ReleaseTooLargeError,
  ReleaseUnreachableError,
  SizeMismatchError,
  SlotdError,
} from "../../protocol/errors.ts";
import type { Release } from "../../protocol/release.ts";
import type { ReleaseBounds, StepOptions } from "./bounds.ts";
import { type ObjectSource, openSource, shownUrl } from "./source.ts";
import { chunksOf, within } from "./stall.ts";

const BACKOFF_BASE_MS = 250;
const BACKOFF_CAP_MS = 10_000;

/** A fault of the source or the way to it, and so worth another try; what a write or a check says is not. */
class SourceFault extends Error {}

/** @throws ReleaseTooLargeError before a byte is asked for. */
export function requireArchiveBound(release: Release, bounds: ReleaseBounds): void {
  if (release.sizeBytes <= bounds.maxArchiveBytes) return;
  throw new ReleaseTooLargeError(`the archive of ${release.version}`, "max_archive_bytes", bounds.maxArchiveBytes);
}

/**
 * Brings a release's archive to `path`, and leaves it there only with the ordered size and digest. At most one chunk is in
 * memory. A fault of the source is tried again from the start, after a jittered pause.
 * @throws ReleaseNotFoundError, ReleaseUnreachableError, ReleaseTooLargeError, SizeMismatchError, DigestMismatchError; the
 * signal's reason; what the file system says.
 */
export async function fetchArchive(
  release: Release,
  path: string,
  bounds: ReleaseBounds,
  objects: ObjectSource,
  options: StepOptions,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    options.signal.throwIfAborted();
    try {
      return await copyOnce(release, path, bounds, objects, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof SourceFault)) throw error;
      if (attempt >= bounds.fetchAttempts) {
        const why = attempt === 1 ? error.message : `${error.message}, the last of ${attempt} attempts`;
        throw new ReleaseUnreachableError(release.version, shownUrl(release.url), why, { cause: error.cause });
      }
    }
    await pause(attempt, options.signal);
  }
}

async function copyOnce(
  release: Release,
  path: string,
  bounds: ReleaseBounds,
  objects: ObjectSource,
  { signal, onProgress }: StepOptions,
): Promise<void> {
  const hash = createHash("sha256");
  const file = await open(path, "w", 0o600);
  let received = 0;
  onProgress({ done: 0, total: release.sizeBytes });
  try {
    for await (const chunk of sourceChunks(release, bounds, objects, signal)) {
      received += chunk.length;
      if (received > release.sizeBytes) throw new SizeMismatchError(release.version, release.sizeBytes, received);
      hash.update(chunk);
      await writeAll(file, chunk);
      onProgress({ done: received, total: release.sizeBytes });
    }
  } finally {
    await file.close();
  }
  if (received !== release.sizeBytes) throw new SizeMismatchError(release.version, release.sizeBytes, received);
  const actual = hash.digest("hex");
  if (actual !== release.sha256) throw new DigestMismatchError(release.version, release.sha256, actual);
}

/** The archive's bytes. Whatever the source does wrong comes out as a SourceFault, unless it has a code of ours. */
async function* sourceChunks(
  release: Release,
  bounds: ReleaseBounds,
  objects: ObjectSource,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  // One controller per attempt, so that a connection given up for a stall is closed.
  const attempt = new AbortController();
  const onAbort = () => attempt.abort(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    const opening = openSource(release, objects, attempt.signal);
    const stream = await within(opening, bounds.stallTimeoutMs, signal).catch((error) => {
      // It may still open after it was given up.
      opening.then((late) => late.cancel()).catch(() => {});
      throw error;
    });
    yield* chunksOf(stream, bounds.stallTimeoutMs, signal);
  } catch (error) {
    if (error instanceof SlotdError || signal.aborted) throw error;
    throw new SourceFault(reasonOf(error), { cause: error });
  } finally {
    signal.removeEventListener("abort", onAbort);
    attempt.abort(new Error("this attempt is over"));
  }
}

/** fetch says only "fetch failed" or "terminated"; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  return error.cause.message || (error.cause as NodeJS.ErrnoException).code || error.message;
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}

async function pause(attempt: number, signal: AbortSignal): Promise<void> {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** (attempt - 1));
  try {
    await delay(ceilingMs * (0.5 + Math.random() / 2), undefined, { signal });
  } catch {
    throw signal.reason;
  }
}
