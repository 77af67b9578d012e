import { open } from "node:fs/promises";

const CHUNK = 64 * 1024;
/** A single line, or a file without line ends, is not read further back than this. */
const MAX_BACKWARDS = 16 * 1024 ** 2;

export interface Tail {
  lines: string[];
  /** Where the file ended when it was read. */
  end: number;
  /** Bytes of the last line, where its end is not there yet; else 0. */
  rest: number;
}

/** The last lines of a worker's output file; where it was cut a short time ago, the first of them from its older half. A file that is gone has none. */
export async function tail(path: string, count: number): Promise<Tail> {
  const newer = await lastLines(path, count);
  if (newer.lines.length >= count) return newer;
  const older = await lastLines(`${path}.1`, count - newer.lines.length);
  return { ...newer, lines: [...older.lines, ...newer.lines] };
}

async function lastLines(path: string, count: number): Promise<Tail> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (!file) return { lines: [], end: 0, rest: 0 };
  try {
    const { size } = await file.stat();
    const chunks: Buffer[] = [];
    let ends = 0;
    for (let at = size; at > 0 && ends <= count && size - at < MAX_BACKWARDS; ) {
      const length = Math.min(CHUNK, at);
      at -= length;
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
      chunks.unshift(buffer.subarray(0, bytesRead));
      ends += lineEnds(buffer);
    }
    const bytes = Buffer.concat(chunks);
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
