import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { copyFile, readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";

const TAIL_BYTES = 4096;

/** Lines that tell nobody anything: a stack's frames, lone brackets. */
const NOISE = /^(at .*|[\]})({[,;]*)?$/;

/** The last lines of an output file that say something, on one line, for a message. Empty where there are none. */
export function lastWords(path: string, lines = 8): string {
  try {
    const fd = openSync(path, "r");
    try {
      const size = fstatSync(fd).size;
      const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(fd, buffer, 0, buffer.length, size - buffer.length);
      return buffer
        .toString("utf8")
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => !NOISE.test(line))
        .slice(-lines)
        .join(" | ")
        .slice(-600);
    } finally {
      closeSync(fd);
    }
  } catch {
    return "";
  }
}

/**
 * Bounds the workers' output files. A worker's open descriptor survives: it appends, so that a file which was copied aside and
 * truncated goes on from its start. The few lines written between the copy and the cut are lost.
 * @param maxBytes for a file and its older half together
 */
export async function trimOutput(directory: string, maxBytes: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith(".log")) continue;
    const path = join(directory, name);
    if ((await stat(path)).size <= maxBytes / 2) continue;
    await copyFile(path, `${path}.1`);
    await truncate(path);
  }
}
