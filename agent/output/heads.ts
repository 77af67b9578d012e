import { open } from "node:fs/promises";
import { firstData } from "../os/holes.ts";

const CHUNK = 64 * 1024;
/** The largest block that may be zeroed in part: a huge page of tmpfs has 2 MiB. */
const MAX_BLOCK = 2 * 1024 ** 2;

/**
 * Where the kept part of each worker's output file begins: at the start of a line. Everything before it was freed; it
 * is a hole that reads as NULs. The file itself shows where its hole ends, which is how the next agent finds it.
 *
 * A head moves before its hole is punched. So a reader that compares `at` with its own position after each read notices
 * every read that may have returned NULs.
 */
export class Heads {
  private readonly known = new Map<string, number>();

  /** As far as it is known: 0 before the first `find`. */
  at(path: string): number {
    return this.known.get(path) ?? 0;
  }

  async find(path: string): Promise<number> {
    if (!this.known.has(path)) {
      const found = await firstByte(path);
      // It may have been set while the file was read.
      if (found !== null && !this.known.has(path)) this.known.set(path, found);
    }
    return this.at(path);
  }

  set(path: string, head: number): void {
    this.known.set(path, head);
  }
}

/** Where a file's hole and the NULs of the block after it end; null where there is no such file. */
async function firstByte(path: string): Promise<number | null> {
  const file = await open(path, "r").catch(() => null);
  if (!file) return null;
  try {
    const data = firstData(file.fd);
    if (data === null) return (await file.stat()).size;
    for (let at = data; at < data + MAX_BLOCK; ) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, at);
      const found = buffer.subarray(0, bytesRead).findIndex((byte) => byte !== 0);
      if (found !== -1) return at + found;
      if (bytesRead === 0) return at;
      at += bytesRead;
    }
    return data;
  } finally {
    await file.close();
  }
}
