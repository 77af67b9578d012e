import { readdirSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

const CHUNK = 1024 ** 2;
/** How soon a file that grows fast is looked at again. */
const SOON_MS = 100;

/**
 * Bounds the workers' output files. A worker's open descriptor survives: it appends, so that a file whose end was copied aside and
 * which then was truncated goes on from its start. The few lines written between the copy and the cut are lost.
 */
export class Trimmer {
  private soon: NodeJS.Timeout | undefined;
  private readonly sizes = new Map<string, number>();

  constructor(
    private readonly directory: string,
    /** For a file and its older half together. */
    private readonly maxBytes: number,
  ) {}

  async trim(): Promise<void> {
    clearTimeout(this.soon);
    let hurry = false;
    for (const name of readdirSync(this.directory)) {
      if (!name.endsWith(".log")) continue;
      const path = join(this.directory, name);
      // Synchronous: a look that goes through the thread pool costs more than the call, and there are many files.
      const { size } = statSync(path);
      const grown = size - (this.sizes.get(path) ?? 0);
      hurry ||= grown > this.maxBytes / 8;
      this.sizes.set(path, size);
      if (size <= this.maxBytes / 2) continue;
      await setAside(path, this.maxBytes / 2);
      this.sizes.set(path, 0);
    }
    if (hurry) this.soon = setTimeout(() => void this.trim().catch(() => {}), SOON_MS).unref();
  }
}

/** Copies the end of a file to its older half, at most so many bytes, from a line's beginning on; then cuts it. */
async function setAside(path: string, bytes: number): Promise<void> {
  const from = await open(path, "r+");
  try {
    await copyEnd(from, `${path}.1`, bytes);
  } finally {
    // Also where there is no space for a copy: the bound is what keeps space.
    await from.truncate(0).finally(() => from.close());
  }
}

async function copyEnd(from: FileHandle, path: string, bytes: number): Promise<void> {
  const to = await open(path, "w", 0o640);
  try {
    const { size } = await from.stat();
    const buffer = Buffer.alloc(Math.min(CHUNK, bytes));
    const first = Math.max(0, size - bytes);
    for (let at = first; at < size; ) {
      const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, size - at), at);
      if (bytesRead === 0) break;
      const begin = at === first && first > 0 ? buffer.subarray(0, bytesRead).indexOf(10) + 1 : 0;
      await to.write(buffer, begin, bytesRead - begin);
      at += bytesRead;
    }
  } finally {
    await to.close();
  }
}
