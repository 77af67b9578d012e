import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { addAbortSignal, type Duplex, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { zstdDecompress } from "../../os/zstd.ts";
import { corrupt } from "./failure.ts";
import { type TarHandler, TarReader } from "./tar-reader.ts";

const CHUNK_BYTES = 256 * 1024;

/** Unpacks a .tar, .tar.gz or .tar.zst, told apart by its first bytes. Throws UnpackFailure, or the signal's reason. */
export async function unpackArchive(archive: string, handler: TarHandler, signal?: AbortSignal): Promise<void> {
  const reader = new TarReader(handler);
  const file = createReadStream(archive, { highWaterMark: CHUNK_BYTES });
  const closed = new Promise<void>((resolve) => file.once("close", resolve));
  try {
    for await (const chunk of await plain(file, archive, signal)) {
      signal?.throwIfAborted();
      reader.write(chunk as Buffer);
    }
    reader.finish();
  } finally {
    // A thread that ended before would leave the file open, and with it the space of a deleted archive taken.
    file.destroy();
    await closed;
  }
}

async function plain(file: Readable, archive: string, signal?: AbortSignal): Promise<AsyncIterable<unknown>> {
  const interruptible = <S extends Duplex>(stream: S) => (signal ? addAbortSignal(signal, stream) : stream);
  const start = await firstBytes(archive);
  if (start.readUInt16BE(0) === 0x1f8b)
    return decompressed(file, archive, interruptible(createGunzip({ chunkSize: CHUNK_BYTES })));
  return start.readUInt32LE(0) === 0xfd2fb528
    ? decompressed(file, archive, interruptible(zstdDecompress(CHUNK_BYTES)))
    : file;
}

async function* decompressed(file: Readable, archive: string, decompress: Duplex): AsyncGenerator<unknown, void, void> {
  yield* through(file, decompress);
  // Node's streams ignore zeros after the compressed data and all that follows them, or, for zstd, whatever follows.
  // The command does not.
  const { bytesWritten } = decompress as { bytesWritten?: number };
  if (bytesWritten !== undefined && bytesWritten !== (await stat(archive)).size)
    throw corrupt("something follows the compressed data");
}

/** Not a `pipeline`: when its reader throws, that passes on an AbortError in place of the reason. */
async function* through(file: Readable, decompress: Duplex): AsyncGenerator<unknown, void, void> {
  file.on("error", (error) => decompress.destroy(error));
  file.pipe(decompress);
  try {
    for await (const chunk of decompress) yield chunk;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw /^(Z_|ZSTD_|ERR_ZSTD)/.test(code ?? "") || message.startsWith("zstd: ") ? corrupt(message) : error;
  } finally {
    const closed = new Promise<void>((resolve) => decompress.once("close", resolve));
    if (!decompress.closed) {
      decompress.destroy();
      await closed;
    }
  }
}

/** Four of them; zeros where the file is shorter. */
async function firstBytes(archive: string): Promise<Buffer> {
  const file = await open(archive, "r");
  try {
    return (await file.read(Buffer.alloc(4), 0, 4, 0)).buffer;
  } finally {
    await file.close();
  }
}
