import { readdirSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { canPunchHoles } from "../os/holes.ts";
import { freeHead } from "./free-head.ts";
import { Heads } from "./heads.ts";
import { type Copied, setAside } from "./set-aside.ts";

/** How soon a file that grows fast is checked again. */
const SOON_MS = 100;
const BLOCK = 512;
/** Holes count in a file's size, which file systems bound: ext4 permits 4 TiB or more. */
const MAX_SIZE = 1024 ** 4;

/** A cut moved what was in a file to its older half, but for what could not be copied. */
export interface Cut extends Copied {
  /** Odd while the file is being cut, even afterwards. */
  number: number;
}

const NEVER: Cut = { number: 0, begin: 0, end: 0, whole: false };

interface File {
  path: string;
  sizeBytes: number;
  allocatedBytes: number;
  /** Allocated for its older half. */
  olderBytes: number;
}

/**
 * Bounds the workers' output files. Where the file system permits holes, the beginning of a file is freed, and nothing
 * is lost. Elsewhere its end is copied to an older half (`.log.1`) and the file truncated. That is done as well with a
 * file that holes have made too large for a file system, and where punching a hole fails.
 */
export class Trimmer {
  readonly heads = new Heads();
  private soon: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private holes: boolean | undefined;
  private readonly sizes = new Map<string, number>();
  private readonly cuts = new Map<string, Cut>();

  constructor(
    private readonly directory: string,
    /** Of the blocks allocated for a file and its older half together. */
    private readonly maxBytes: number,
    /** The file system has no holes: cuts may lose lines. Called once. */
    private readonly onNoHoles: () => void,
  ) {}

  /** The last cut of a file: offsets from before it belong to the file as it was then. */
  cut(path: string): Readonly<Cut> {
    return this.cuts.get(path) ?? NEVER;
  }

  /** Resolves when a file is not being cut. */
  async settled(path: string): Promise<void> {
    if (this.cut(path).number % 2 === 1) await this.running?.catch(() => {});
  }

  /**
   * Checks all files. A call during a check waits for that one.
   * @throws the first failure with any of them, after the others were trimmed too
   */
  trim(): Promise<void> {
    this.running ??= this.trimAll().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async trimAll(): Promise<void> {
    clearTimeout(this.soon);
    const failures: unknown[] = [];
    let hurry = false;
    for (const file of this.files()) {
      const grown = file.sizeBytes - (this.sizes.get(file.path) ?? 0);
      hurry ||= grown > this.maxBytes / 8;
      this.sizes.set(file.path, file.sizeBytes);
      // Someone else truncated it.
      if (file.sizeBytes < this.heads.at(file.path)) this.heads.set(file.path, 0);
      await this.bound(file).catch((error) => failures.push(error));
    }
    if (hurry) this.soon = setTimeout(() => void this.trim().catch(() => {}), SOON_MS).unref();
    if (failures.length > 0) throw failures[0];
  }

  private *files(): Generator<File> {
    const names = new Set(readdirSync(this.directory));
    for (const name of names) {
      if (!name.endsWith(".log")) continue;
      const path = join(this.directory, name);
      // Synchronous: passing through the thread pool costs more than the call, and there are many files.
      const stats = statSync(path, { throwIfNoEntry: false });
      const older = names.has(`${name}.1`) ? statSync(`${path}.1`, { throwIfNoEntry: false }) : undefined;
      const olderBytes = (older?.blocks ?? 0) * BLOCK;
      yield { path, sizeBytes: stats?.size ?? 0, allocatedBytes: (stats?.blocks ?? 0) * BLOCK, olderBytes };
    }
  }

  private async bound(file: File): Promise<void> {
    const { path, sizeBytes, allocatedBytes, olderBytes } = file;
    const half = Math.floor(this.maxBytes / 2);
    if (sizeBytes <= half && allocatedBytes + olderBytes <= this.maxBytes) return;
    if (sizeBytes >= MAX_SIZE) return this.cutOff(path);
    if (!(await this.hasHoles(path))) return sizeBytes > half ? this.cutOff(path) : undefined;
    // An older half is left from a cut. The file alone has as much by now, or someone lowered the bound.
    if (olderBytes > 0 && (allocatedBytes > half || allocatedBytes + olderBytes > this.maxBytes)) rmSync(`${path}.1`);
    if (allocatedBytes <= half * 1.5) return;
    try {
      await freeHead(path, half, this.heads);
    } catch (error) {
      await this.cutOff(path);
      throw error;
    }
  }

  private async hasHoles(path: string): Promise<boolean> {
    if (this.holes !== undefined) return this.holes;
    const file = await open(path, "r+");
    try {
      this.holes = await canPunchHoles(file.fd, MAX_SIZE);
    } finally {
      await file.close();
    }
    if (!this.holes) this.onNoHoles();
    return this.holes;
  }

  private async cutOff(path: string): Promise<void> {
    const { number } = this.cut(path);
    // From here on the older half is a different one.
    this.cuts.set(path, { ...NEVER, number: number + 1 });
    let copied: Copied = NEVER;
    try {
      const head = await this.heads.find(path).catch(() => this.heads.at(path));
      copied = await setAside(path, Math.floor(this.maxBytes / 2), head);
    } finally {
      this.sizes.set(path, 0);
      this.heads.set(path, 0);
      this.cuts.set(path, { ...copied, number: number + 2 });
    }
  }
}
