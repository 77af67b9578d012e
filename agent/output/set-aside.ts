import { type FileHandle, open } from "node:fs/promises";

const CHUNK = 1024 ** 2;
/** Room in the older half for what is written while it is copied. */
const MEANWHILE = 1 / 16;

/** The part of a file that was copied to its older half (`.log.1`), by its offsets in the file. */
export interface Copied {
  begin: number;
  end: number;
  /** Whether the copy reached the file's end. */
  whole: boolean;
}

/**
 * Copies the end of a file to its older half, from a line's start on; then truncates the file. A worker's descriptor
 * appends, so the worker continues at the file's new start. The few lines written between the copy and the cut are
 * lost.
 * @param head where the file's content begins
 * @throws where there is no room for the copy. The file is truncated all the same: the bound is what keeps space.
 */
export async function setAside(path: string, maxBytes: number, head: number): Promise<Copied> {
  const from = await open(path, "r+");
  try {
    return await copyEnd(from, `${path}.1`, maxBytes, head);
  } finally {
    await from.truncate(0).finally(() => from.close());
  }
}

async function copyEnd(from: FileHandle, path: string, bytes: number, head: number): Promise<Copied> {
  const to = await open(path, "w", 0o640);
  try {
    const { size } = await from.stat();
    const buffer = Buffer.alloc(CHUNK);
    const first = Math.max(head, size - Math.floor(bytes * (1 - MEANWHILE)));
    let begin = first;
    let at = first;
    let whole = false;
    // Up to the file's end at that time, so that lines written during the copy are not lost.
    while (at < first + bytes) {
      const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, first + bytes - at), at);
      whole = bytesRead === 0;
      if (whole) break;
      if (at === first && first > head) begin += buffer.subarray(0, bytesRead).indexOf(10) + 1;
      await to.writeFile(buffer.subarray(Math.max(0, begin - at), bytesRead));
      at += bytesRead;
    }
    return { begin, end: at, whole };
  } finally {
    await to.close();
  }
}
