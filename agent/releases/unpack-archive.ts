import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { corrupt } from "./failure.ts";
import { TarReader } from "./tar-reader.ts";
import type { TreeWriter } from "./tree-writer.ts";

const CHUNK_BYTES = 256 * 1024;

/** Unpacks a .tar or .tar.gz, told apart by its first bytes, and makes the result durable. Throws UnpackFailure. */
export async function unpackArchive(archive: string, writer: TreeWriter): Promise<void> {
  const reader = new TarReader(writer);
  const file = createReadStream(archive, { highWaterMark: CHUNK_BYTES });
  const closed = new Promise<void>((resolve) => file.once("close", resolve));
  try {
    const chunks = (await isGzip(archive)) ? gunzipped(file, archive) : file;
    for await (const chunk of chunks) reader.write(chunk as Buffer);
    reader.finish();
  } finally {
    writer.close();
    // A thread that ended before would leave the file open, and with it the space of a deleted archive taken.
    file.destroy();
    await closed;
  }
  if (writer.nodes === 0) throw corrupt("it is empty");
  await writer.sync();
}

/** Not a `pipeline`: when its reader throws, that passes on an AbortError in place of the reason. */
async function* gunzipped(file: Readable, archive: string): AsyncGenerator<Buffer, void, void> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on("error", (error) => gunzip.destroy(error));
  file.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw code?.startsWith("Z_") ? corrupt(message) : error;
  } finally {
    gunzip.destroy();
  }
  // zlib ignores zeros after the compressed data, and all that follows them.
  if (gunzip.bytesWritten !== (await stat(archive)).size) throw corrupt("something follows the compressed data");
}

async function isGzip(archive: string): Promise<boolean> {
  const file = await open(archive, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}
