import { readdirSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

const CHUNK = 1024 ** 2;
/** How soon a file that grows fast is looked at again. */
const SOON_MS = 100;
/** Room in the older half for what is written while it is copied. */
const MEANWHILE = 1 / 16;

/** What was cut off a file, by where it had stood; it is in the older half now, but for what could not be copied. */
export interface Cut {
  /** Odd while the file is being cut, and even when that is over. */
  number: number;
  begin: number;
  end: number;
  /** Whether the copy reached the file's end. */
  whole: boolean;
}

const NEVER: Cut = { number: 0, begin: 0, end: 0, whole: false };

/**
 * Bounds the workers' output files. A worker's open descriptor survives: it appends, so that a file whose end was copied aside and
 * which then was truncated goes on from its start. The few lines written between the copy and the cut are lost.
 */
export class Trimmer {
  private soon: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private readonly sizes = new Map<string, number>();
  private readonly cuts = new Map<string, Cut>();

  constructor(
    private readonly directory: string,
    /** For a file and its older half together. */
    private readonly maxBytes: number,
  ) {}

  /** The last cut of a file: what was read of it before belongs to the file as it was then. */
  cut(path: string): Readonly<Cut> {
    return this.cuts.get(path) ?? NEVER;
  }

  /** When no file is being cut. */
  async settled(): Promise<void> {
    await this.running?.catch(() => {});
  }

  /**
   * Looks at all files; who comes while that is being done waits for it.
   * @throws what went wrong with one of them. That keeps none from being cut that can be.
   */
  trim(): Promise<void> {
    this.running ??= this.look().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async look(): Promise<void> {
    clearTimeout(this.soon);
    const failures: unknown[] = [];
    let hurry = false;
    for (const name of readdirSync(this.directory)) {
      if (!name.endsWith(".log")) continue;
      const path = join(this.directory, name);
      // Synchronous: a look that goes through the thread pool costs more than the call, and there are many files.
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      const grown = size - (this.sizes.get(path) ?? 0);
      hurry ||= grown > this.maxBytes / 8;
      this.sizes.set(path, size);
      if (size <= this.maxBytes / 2) continue;
      await this.setAside(path).catch((error) => failures.push(error));
    }
    if (hurry) this.soon = setTimeout(() => void this.trim().catch(() => {}), SOON_MS).unref();
    if (failures.length > 0) throw failures[0];
  }

  /** Copies the end of a file to its older half, from a line's beginning on; then cuts it. */
  private async setAside(path: string): Promise<void> {
    const { number } = this.cut(path);
    // The older half is another one from here on.
    this.cuts.set(path, { ...NEVER, number: number + 1 });
    let copied = NEVER;
    try {
      const from = await open(path, "r+");
      try {
        copied = await copyEnd(from, `${path}.1`, Math.floor(this.maxBytes / 2));
      } finally {
        // Also where there is no space for a copy: the bound is what keeps space.
        await from.truncate(0).finally(() => from.close());
        this.sizes.set(path, 0);
      }
    } finally {
      this.cuts.set(path, { ...copied, number: number + 2 });
    }
  }
}

/** At most so many bytes. @returns where they stood */
async function copyEnd(from: FileHandle, path: string, bytes: number): Promise<Cut> {
  const to = await open(path, "w", 0o640);
  try {
    const { size } = await from.stat();
    const buffer = Buffer.alloc(CHUNK);
    const first = Math.max(0, size - Math.floor(bytes * (1 - MEANWHILE)));
    let begin = first;
    let at = first;
    let whole = false;
    // Up to where the file ends by now: what is written while it is copied is not lost.
    while (at < first + bytes) {
      const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, first + bytes - at), at);
      whole = bytesRead === 0;
      if (whole) break;
      if (at === first && first > 0) begin += buffer.subarray(0, bytesRead).indexOf(10) + 1;
      await to.writeFile(buffer.subarray(Math.max(0, begin - at), bytesRead));
      at += bytesRead;
    }
    return { ...NEVER, begin, end: at, whole };
  } finally {
    await to.close();
  }
}
