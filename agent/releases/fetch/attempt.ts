import type { Archive } from "../../../protocol/release.ts";
import type { ReleaseBounds, StepOptions } from "../bounds.ts";
import type { ArchiveCopy } from "./copy.ts";
import type { ArchiveStream, ObjectSource } from "./opened.ts";
import { type Pace, paceOf } from "./pace.ts";
import { openSource } from "./source.ts";
import { otherSize, SourceFault, toFault } from "./source-fault.ts";
import { chunksOf, within } from "./stall.ts";

/** What to fetch, from where, to where, and within which limits. */
export interface Way {
  release: Archive;
  bounds: ReleaseBounds;
  objects: ObjectSource;
  copy: ArchiveCopy;
}

/** A source, and what is known about it. */
export interface Tried {
  url: string;
  /** Whether to resume after the bytes that are here, rather than start over. */
  resume: boolean;
  validator: string | null;
}

/**
 * Asks a source once, for all that is missing. Null: it is here, in the ordered size. @throws what is not the source's
 * fault.
 */
export async function copyOnce(source: Tried, way: Way & StepOptions): Promise<SourceFault | null> {
  // One controller per attempt, so that a connection abandoned for a stall is closed.
  const attempt = new AbortController();
  const onAbort = () => attempt.abort(way.signal.reason);
  way.signal.addEventListener("abort", onAbort);
  let opened: ArchiveStream | null = null;
  try {
    opened = await open(source, way, attempt.signal);
    source.validator = opened.validator;
    await receive(opened, way);
    return null;
  } catch (error) {
    if (!(error instanceof SourceFault)) throw error;
    return error;
  } finally {
    way.signal.removeEventListener("abort", onAbort);
    attempt.abort(new Error("this attempt is over"));
    // Only a stream that was never read: a read one is locked, and already cancelled.
    opened?.stream.cancel().catch(() => {});
  }
}

async function open(source: Tried, way: Way & StepOptions, ended: AbortSignal): Promise<ArchiveStream> {
  const { bounds, release, copy, signal } = way;
  const opening = openSource(source.url, way.objects, {
    sizeBytes: release.sizeBytes,
    from: source.resume ? copy.kept : 0,
    validator: source.validator,
    headersFile: bounds.fetchHeadersFile,
    signal: ended,
  });
  return within(opening, bounds.stallTimeoutMs, signal).catch((error) => {
    // It may still open after it was abandoned.
    opening.then(({ stream }) => stream.cancel()).catch(() => {});
    throw signal.aborted ? error : toFault(error);
  });
}

async function receive({ stream, from, to }: ArchiveStream, way: Way & StepOptions): Promise<void> {
  const { release, bounds, copy, signal, onProgress } = way;
  const { sizeBytes } = release;
  const pace = paceOf(bounds);
  await copy.begin(from);
  onProgress({ done: copy.kept, total: sizeBytes });
  for await (const chunk of sentBy(stream, bounds.stallTimeoutMs, signal)) {
    const received = copy.kept + chunk.length;
    if (from === 0 && received > sizeBytes) throw otherSize(received);
    if (to !== null && received > to)
      throw new SourceFault("ranges", "the server sent more than the part that it announced");
    for (const slice of slicesOf(chunk, pace)) {
      await pace?.pass(slice.length, signal);
      await copy.append(slice);
      onProgress({ done: copy.kept, total: sizeBytes });
    }
  }
  if (copy.kept === sizeBytes) return;
  // A stream that ends normally, without having stated its length, is complete.
  if (to === null) throw otherSize(copy.kept);
  throw new SourceFault("passing", `it ended after ${copy.kept} of ${sizeBytes} bytes`);
}

/** The chunks. Any error in them counts as a fault of the source. */
async function* sentBy(
  stream: ReadableStream<Uint8Array>,
  timeoutMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* chunksOf(stream, timeoutMs, signal);
  } catch (error) {
    throw signal.aborted ? error : toFault(error);
  }
}

function* slicesOf(chunk: Uint8Array, pace: Pace | null): Generator<Uint8Array, void, void> {
  const bytes = pace?.sliceBytes ?? chunk.length;
  for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes);
}
