import { type FileHandle, open } from "node:fs/promises";
import { punchHole } from "../os/holes.ts";
import type { Heads } from "./heads.ts";

const CHUNK = 64 * 1024;
/** Freed in one call. The file's writers wait for as long. */
const PIECE = 256 * 1024 ** 2;

/**
 * Frees the beginning of a file, so that its last `keep` bytes remain, from a line's start on. Its writers and readers
 * keep their descriptors and offsets, and nothing is lost of what is written meanwhile.
 */
export async function freeHead(path: string, keep: number, heads: Heads): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const was = await heads.find(path);
    // XFS allocates blocks beyond the end of a file that grows: no reason to keep less of it.
    if (size - keep <= was) return;
    const head = await lineStart(file, size - keep);
    heads.set(path, head);
    // The block in which the last hole ends is freed with this one.
    for (let at = was - (was % PIECE); at < head; at += PIECE) await punchHole(file.fd, at, Math.min(at + PIECE, head));
  } finally {
    await file.close();
  }
}

/** Where the first line begins after an offset; the offset itself where no line ends soon after it. */
async function lineStart(file: FileHandle, offset: number): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK), 0, CHUNK, offset);
  return offset + buffer.subarray(0, bytesRead).indexOf(10) + 1;
}
