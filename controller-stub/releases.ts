import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { ObjectInfo } from "@nats-io/obj";
import { ReleaseNotFoundError } from "../protocol/errors.ts";
import { sha256Schema } from "../protocol/names.ts";
import { objectUrl, type Release } from "../protocol/release.ts";
import { keys } from "../protocol/subjects.ts";
import { openReleases } from "./buckets.ts";
import type { Bus } from "./bus.ts";
import { UsageError, VersionTakenError } from "./errors.ts";
import { isConflict } from "./persist.ts";

const CHUNK_BYTES = 128 * 1024;

export interface Published extends Release {
  /** Whether this very content was there already. */
  already: boolean;
}

type OnProgress = (doneBytes: number, totalBytes: number) => void;

/**
 * Puts an archive into the object store, once: the digest is taken first, and the upload breaks off if the file has changed since.
 * @throws VersionTakenError where the version has other content; UsageError where the file can't be read.
 */
export async function publishRelease(
  bus: Bus,
  { service, version, file }: { service: string; version: string; file: string },
  onProgress: OnProgress = () => {},
): Promise<Published> {
  const handle = await openArchive(file);
  try {
    const { sha256, sizeBytes } = await digest(handle);
    if (sizeBytes === 0) throw new UsageError("ARCHIVE", "must not be empty");
    const name = keys.archive(service, version);
    const release = { version, url: objectUrl(name), sha256, sizeBytes };
    const store = await openReleases(bus);
    for (;;) {
      const there = await bus.persist(() => store.info(name));
      if (there && !there.deleted) {
        const published = digestOf(there);
        if (published !== sha256) throw new VersionTakenError(service, version, published, sha256);
        return { ...release, already: true };
      }
      try {
        await bus.persist(() =>
          store.put(
            { name, description: `${service} ${version}`, metadata: { sha256 } },
            read(handle, { sha256, sizeBytes, signal: bus.signal, onProgress }),
            { previousRevision: there?.revision ?? 0, timeout: bus.timeoutMs },
          ),
        );
        return { ...release, already: false };
      } catch (error) {
        // Another one published this version in the meantime: the next round says whether it is the same.
        if (!isConflict(error)) throw error;
      }
    }
  } finally {
    await handle.close();
  }
}

/** @throws ReleaseNotFoundError where the version was not published. */
export async function findRelease(bus: Bus, service: string, version: string): Promise<Release> {
  const name = keys.archive(service, version);
  const store = await openReleases(bus);
  const info = await bus.persist(() => store.info(name));
  if (info === null || info.deleted) {
    throw new ReleaseNotFoundError(version, objectUrl(name), "there is no such object");
  }
  return { version, url: objectUrl(name), sha256: digestOf(info), sizeBytes: info.size };
}

/** The object's sha256 in hex: as `publish` notes it, else from the store's own digest (`SHA-256=` and base64url). */
function digestOf(info: ObjectInfo): string {
  const noted = sha256Schema.safeParse(info.metadata?.sha256);
  return noted.success ? noted.data : Buffer.from(info.digest.replace(/^SHA-256=/, ""), "base64url").toString("hex");
}

async function openArchive(file: string): Promise<FileHandle> {
  try {
    const handle = await open(file, "r");
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (cause) {
    throw new UsageError("ARCHIVE", `can't be read: ${(cause as Error).message}`, { cause });
  }
  throw new UsageError("ARCHIVE", `must be a file: ${file}`);
}

async function digest(handle: FileHandle): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const chunk of chunks(handle)) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

interface Reading {
  sha256: string;
  sizeBytes: number;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** The file as a stream that fails, rather than ends, where it is not what was promised. */
function read(handle: FileHandle, { sha256, sizeBytes, signal, onProgress }: Reading): ReadableStream<Uint8Array> {
  const hash = createHash("sha256");
  const source = chunks(handle);
  let done = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      signal.throwIfAborted();
      const next = await source.next();
      if (next.done) {
        if (hash.digest("hex") !== sha256) throw new UsageError("ARCHIVE", "was changed while it was being published");
        return controller.close();
      }
      hash.update(next.value);
      done += next.value.length;
      onProgress(done, sizeBytes);
      controller.enqueue(next.value);
    },
  });
}

async function* chunks(handle: FileHandle): AsyncGenerator<Buffer, void> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
