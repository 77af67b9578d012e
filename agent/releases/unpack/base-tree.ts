import { lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ManifestEntry } from "../../../protocol/manifest.ts";
import { corrupt } from "./failure.ts";

/**
 * The tree that a delta takes files over from. It never changes: one that was changed all the same is of no use. Its
 * calls block.
 */
export class BaseTree {
  /** Those known to be directories themselves: behind a link lies what was not installed there. */
  private readonly directories = new Set(["."]);

  constructor(
    readonly root: string,
    /** When all of it had been written. */
    readonly installedAt: Date,
  ) {}

  /**
   * Where a file of it is. Its content is not read again: what a write leaves behind is its time, which no install sets
   * later than now.
   * @throws UnpackFailure where it is not any more what was installed.
   */
  locate({ path, sizeBytes, mode }: ManifestEntry & { type: "file" }): string {
    this.requireDirectory(dirname(path));
    const full = join(this.root, path);
    const found = lstatSync(full);
    const same = found.isFile() && found.size === sizeBytes && (found.mode & 0o7777) === mode;
    if (!same || found.mtimeMs > this.installedAt.getTime()) throw corrupt(`${full} is not what was installed there`);
    return full;
  }

  private requireDirectory(path: string): void {
    if (this.directories.has(path)) return;
    this.requireDirectory(dirname(path));
    const full = join(this.root, path);
    if (!lstatSync(full).isDirectory()) throw corrupt(`${full} is not the directory that was installed there`);
    this.directories.add(path);
  }
}
