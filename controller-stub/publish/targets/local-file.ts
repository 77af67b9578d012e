import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { ArgumentError } from "../../errors.ts";

const CHUNK_BYTES = 128 * 1024;

/** A file to publish, with its digest. It stays open, so that the file that was hashed is the file that is read. */
export class LocalFile {
  private constructor(
    readonly path: string,
    readonly sha256: string,
    readonly sizeBytes: number,
    private readonly handle: FileHandle,
  ) {}

  /** @throws ArgumentError where it can't be read, or is empty. */
  static async open(path: string): Promise<LocalFile> {
    const handle = await openFile(path);
    try {
      const hash = createHash("sha256");
      let sizeBytes = 0;
      for await (const chunk of chunks(handle)) {
        hash.update(chunk);
        sizeBytes += chunk.length;
      }
      if (sizeBytes === 0) throw new ArgumentError("<file>", "must not be empty");
      return new LocalFile(path, hash.digest("hex"), sizeBytes, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** The file in chunks. Fails at the end where the file has changed since it was hashed. */
  async *readChunks(signal: AbortSignal, onBytes: (doneBytes: number) => void): AsyncGenerator<Buffer, void> {
    const hash = createHash("sha256");
    let done = 0;
    for await (const chunk of chunks(this.handle)) {
      signal.throwIfAborted();
      hash.update(chunk);
      done += chunk.length;
      if (done > this.sizeBytes) break;
      onBytes(done);
      yield chunk;
    }
    if (done !== this.sizeBytes || hash.digest("hex") !== this.sha256)
      throw new ArgumentError("<file>", "was changed while it was being published");
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const handle = await open(path, "r");
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (cause) {
    throw new ArgumentError("<file>", `can't be read: ${(cause as Error).message}`, { cause });
  }
  throw new ArgumentError("<file>", `must be a file, not ${path}`);
}

async function* chunks(handle: FileHandle): AsyncGenerator<Buffer, void> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
