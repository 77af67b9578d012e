import type { BigIntStats } from "node:fs";
import { open } from "node:fs/promises";
import type { Heads } from "./heads.ts";
import type { OwnPart } from "./own-part.ts";

const CHUNK = 64 * 1024;
/** A single line, or a file without line ends, is not read further back than this. */
const MAX_BACKWARDS = 16 * 1024 ** 2;

export interface Tail {
  lines: string[];
  /** Where the file ended when it was read. */
  end: number;
  /** Bytes of the last line if it is not complete yet; else 0. */
  rest: number;
}

/**
 * The last lines of a worker's output file, back to its head; a file that has no hole may continue backwards in an
 * older half. A file that is gone has none.
 * @param own to read that part only
 */
export async function tail(path: string, count: number, heads: Heads, own?: OwnPart): Promise<Tail> {
  const newer = await lastLines(path, count, heads, (stats) => beginOf(stats, own));
  if (newer.lines.length >= count || heads.at(path) > 0 || own?.olderBegin === null) return newer;
  const older = await lastLines(`${path}.1`, count - newer.lines.length, null, () => own?.olderBegin ?? 0);
  return { ...newer, lines: [...older.lines, ...newer.lines] };
}

/** Where the own part of a file begins; at its end where nothing in it is known to be. */
function beginOf({ ino, size }: BigIntStats, own: OwnPart | undefined): number {
  if (!own) return 0;
  const end = Number(size);
  // Another file by now, which someone else put there.
  if (ino !== own.inode) return end;
  // Truncated since, so that all of it is newer.
  return own.begin > end ? 0 : own.begin;
}

async function lastLines(
  path: string,
  count: number,
  heads: Heads | null,
  begin: (stats: BigIntStats) => number,
): Promise<Tail> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (!file) return { lines: [], end: 0, rest: 0 };
  try {
    const stats = await file.stat({ bigint: true });
    const size = Number(stats.size);
    const head = Math.max((await heads?.find(path)) ?? 0, begin(stats));
    const chunks: Buffer[] = [];
    let ends = 0;
    let at = size;
    while (at > head && ends <= count && size - at < MAX_BACKWARDS) {
      const length = Math.min(CHUNK, at - head);
      at -= length;
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
      chunks.unshift(buffer.subarray(0, bytesRead));
      ends += lineEnds(buffer);
    }
    // Without the part that was freed while it was read.
    const bytes = Buffer.concat(chunks).subarray(Math.max(0, (heads?.at(path) ?? 0) - at));
    const rest = bytes.length - (bytes.lastIndexOf(10) + 1);
    const lines = bytes.toString("utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return { lines: count === 0 ? [] : lines.slice(-count), end: size, rest };
  } finally {
    await file.close();
  }
}

function lineEnds(buffer: Buffer): number {
  let found = 0;
  for (let at = buffer.indexOf(10); at !== -1; at = buffer.indexOf(10, at + 1)) found++;
  return found;
}
