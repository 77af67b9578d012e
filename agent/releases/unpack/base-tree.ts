import { lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ManifestEntry } from "../../../protocol/manifest.ts";
import { corrupt } from "./failure.ts";

/**
 * The tree that a delta takes files from. It must not have changed since it was installed. Its calls block.
 */
export class BaseTree {
  /** Paths known to be real directories: behind a link lie files that were not installed there. */
  private readonly directories = new Set(["."]);

  constructor(
    readonly root: string,
    /** When its last file was written. */
    readonly installedAt: Date,
  ) {}

  /**
   * The path of one of its files. Its content is not read again: a later write would show in its time, which no install
   * sets later than now.
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
