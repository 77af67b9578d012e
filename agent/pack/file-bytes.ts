import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { PackRefusedError } from "../../protocol/errors.ts";

const CHUNK_BYTES = 256 * 1024;
/** If the file was replaced meanwhile, does not follow a link and does not wait for a FIFO's writer. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Reads a file to pack, in chunks that the caller may keep.
 * @param path relative to `root`
 * @throws PackRefusedError if the file can't be read.
 */
export async function* fileBytes(root: string, path: string): AsyncGenerator<Buffer, void> {
  try {
    const file = await open(join(root, path), READ);
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new PackRefusedError(path, "is no longer a file: it changed while it was packed");
      // One byte more than expected, so that one read into a small buffer covers a small file.
      const size = Math.min(stats.size + 1, CHUNK_BYTES);
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(size), 0, size, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw refusal(path, cause);
  }
}

/** Turns a file system error into a refusal that names the path. */
export function refusal(path: string, cause: unknown): unknown {
  if (cause instanceof PackRefusedError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === undefined || code.startsWith("ERR_")) return cause;
  const why = code === "ENOENT" || code === "ELOOP" ? "changed while it was packed" : "can't be read";
  return new PackRefusedError(path, `${why} (${message.split(",")[0]})`, { cause });
}
