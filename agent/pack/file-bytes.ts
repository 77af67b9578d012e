import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { PackRefusedError } from "../../protocol/errors.ts";

const CHUNK_BYTES = 256 * 1024;
/** Never through a link that has taken the file's place, and never waiting for a writer of a FIFO that has. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * The bytes of a file that is packed, in pieces that are the reader's to keep.
 * @param path of the file, below `root`
 * @throws PackRefusedError where it can't be read.
 */
export async function* fileBytes(root: string, path: string): AsyncGenerator<Buffer, void> {
  try {
    const file = await open(join(root, path), READ);
    try {
      const stats = await file.stat();
      if (!stats.isFile())
        throw new PackRefusedError(path, "is not a file any more: it has changed while it was packed");
      // One byte more than there should be, so that a small file takes one read and a small piece of memory.
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

/** What the file system says of a path, as a refusal that names it. */
export function refusal(path: string, cause: unknown): unknown {
  if (cause instanceof PackRefusedError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === undefined || code.startsWith("ERR_")) return cause;
  const why = code === "ENOENT" || code === "ELOOP" ? "has changed while it was packed" : "can't be read";
  return new PackRefusedError(path, `${why} (${message.split(",")[0]})`, { cause });
}
