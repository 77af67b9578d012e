import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { basename } from "node:path";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type DeltaHead, deltaHeadName, type ManifestEntry } from "../../protocol/manifest.ts";
import type { ArchiveFormat, PackedFile } from "../../protocol/package.ts";
import { zstdCompress } from "../os/zstd.ts";
import { writeTar } from "./write-tar.ts";

const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 9;
/** Small chunks are joined, since each chunk costs a turn of the event loop. */
const BATCH_BYTES = 256 * 1024;

export interface ArchiveJob {
  /** The directory that the entries' files are in. */
  root: string;
  entries: readonly ManifestEntry[];
  /** The head, for a delta. */
  head?: DeltaHead | undefined;
  format: ArchiveFormat;
  mtimeSeconds: number | null;
  signal: AbortSignal;
  onProgress(doneBytes: number, totalBytes: number): void;
}

/** Writes and syncs an archive in a new file; the caller syncs the directory. Holds only a few chunks in memory. */
export async function writeArchive(path: string, job: ArchiveJob): Promise<PackedFile> {
  const { root, entries, head, format, mtimeSeconds, signal, onProgress } = job;
  const total = entries.reduce((sum, entry) => sum + (entry.type === "file" ? entry.sizeBytes : 0), 0);
  let done = 0;
  const tar = writeTar(entries, {
    root,
    mtimeSeconds,
    ...(head && { head: { path: deltaHeadName, content: Buffer.from(`${JSON.stringify(head)}\n`) } }),
    onProgress(bytes) {
      done += bytes;
      onProgress(done, total);
    },
  });
  const hash = createHash("sha256");
  let sizeBytes = 0;
  async function* measured(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      yield chunk;
    }
  }
  const file = createWriteStream(path, { flags: "wx", flush: true });
  await pipeline(inBatches(tar), compressor(format), measured, file, { signal });
  return { file: basename(path), sha256: hash.digest("hex"), sizeBytes };
}

async function* inBatches(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let batch: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    batch.push(piece);
    bytes += piece.length;
    if (bytes < BATCH_BYTES) continue;
    yield Buffer.concat(batch);
    batch = [];
    bytes = 0;
  }
  yield Buffer.concat(batch);
}

function compressor(format: ArchiveFormat): Duplex {
  return format === "gz" ? createGzip({ level: GZIP_LEVEL }) : zstdCompress(ZSTD_LEVEL);
}
