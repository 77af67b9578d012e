import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { ArchiveRequest, ArchiveStream } from "./opened.ts";
import { otherSize, SourceFault } from "./source-fault.ts";

const CHUNK_BYTES = 128 * 1024;

/** A file's bytes from an offset. Reads at most one chunk ahead. */
export async function openFile(url: string, { from, sizeBytes }: ArchiveRequest): Promise<ArchiveStream> {
  const path = fileURLToPath(url);
  // Checked before opening: opening has side effects on some devices, and a FIFO would be read forever.
  const stats = await stat(path).catch(refuse);
  if (!stats.isFile()) throw new SourceFault("unfit", "it is not a file");
  if (stats.size !== sizeBytes) throw otherSize(stats.size);
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(refuse);
  return { stream: streamOf(file, from), from, to: sizeBytes, validator: null };
}

function streamOf(file: FileHandle, from: number): ReadableStream<Uint8Array> {
  let at = from;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, at);
          at += bytesRead;
          if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead));
          await file.close();
          controller.close();
        } catch (error) {
          await file.close().catch(() => {});
          throw error;
        }
      },
      cancel: () => file.close(),
    },
    { highWaterMark: 0 },
  );
}

function refuse(cause: NodeJS.ErrnoException): never {
  if (cause.code === "ENOENT" || cause.code === "ENOTDIR") throw new SourceFault("absent", "no such file");
  throw new SourceFault("unfit", cause.message, { cause });
}
