import { createHash, type Hash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { ManifestEntry } from "../../../protocol/manifest.ts";
import type { ReleaseBounds } from "../bounds.ts";
import { isDiskFull } from "../disk.ts";
import type { BaseTree } from "./base-tree.ts";
import { checkEntry, fold, type NodeKind } from "./check-entry.ts";
import { UnpackFailure } from "./failure.ts";
import type { TarEntry, TarHandler } from "./tar-reader.ts";

/** Only the owner may change an installed release; everybody may run it, if the archive says so. */
const MODE_MASK = 0o755;
/** The owner must be able to read every file, to sync it, and to enter every directory, to remove it. */
const FILE_FLOOR = 0o400;
const DIRECTORY_FLOOR = 0o700;
/** Beyond the year 2242 file systems differ. */
const MAX_SECONDS = 2 ** 33;
/** Never follows or replaces: what exists already does not belong to the archive. */
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes the entries of an archive below `root`, each after checking it. Its calls block, which is fine in a thread of
 * its own. Throws UnpackFailure.
 */
export class TreeWriter implements TarHandler {
  private readonly known = new Map<string, { path: string; kind: NodeKind }>();
  /** What was written, by path, for the manifest. */
  private readonly written = new Map<string, ManifestEntry>();
  private file: { fd: number; path: string; hash: Hash; entry: TarEntry } | null = null;
  private current = "";
  /** Entries of the archive, for progress. */
  entries = 0;
  /** Of its files. */
  bytes = 0;
  /** What the archive holds besides entries: it makes work, too, and so counts against the same bound. */
  private extensionBytes = 0;

  constructor(
    readonly root: string,
    readonly bounds: Pick<ReleaseBounds, "maxEntries" | "maxUnpackedBytes">,
    readonly onEntry: (entries: number) => void,
  ) {}

  /** How many files, links and directories there are now. */
  get nodes(): number {
    return this.known.size;
  }

  /** All that was written, for the manifest. */
  get manifest(): ManifestEntry[] {
    return [...this.written.values()];
  }

  extension(bytes: number): void {
    this.extensionBytes += bytes;
    this.requireByteBound();
  }

  entry(entry: TarEntry): void {
    this.current = entry.path;
    const { path, kind, target } = this.admit(entry);
    const full = join(this.root, path);
    this.guard(() => {
      if (kind === "file") this.file = { fd: openSync(full, CREATE, 0o600), path, hash: createHash("sha256"), entry };
      else if (kind === "symlink") this.symlink(path, target);
      // Not for the root: its mode is that of whatever directory was packed.
      else if (kind === "directory" && path !== "") this.setDirectoryMode(path, entry.mode);
      else if (kind === "hardlink") this.link(path, target);
    });
  }

  data(chunk: Uint8Array): void {
    const file = this.file;
    if (file === null) return;
    file.hash.update(chunk);
    this.guard(() => {
      for (let at = 0; at < chunk.length; ) at += writeSync(file.fd, chunk, at);
    });
  }

  entryEnd(): void {
    this.guard(() => this.closeFile());
    this.onEntry(this.entries);
  }

  /** Takes an entry from another tree on this file system: a file gets a hard link. */
  adopt(entry: ManifestEntry, base: BaseTree): void {
    this.current = entry.path;
    const sizeBytes = entry.type === "file" ? entry.sizeBytes : 0;
    const linkpath = entry.type === "symlink" ? entry.target : "";
    const mode = entry.type === "symlink" ? 0o777 : entry.mode;
    const { path } = this.admit({ path: entry.path, type: entry.type, linkpath, mode, sizeBytes, mtime: undefined });
    this.guard(() => {
      if (entry.type === "directory") return this.setDirectoryMode(path, mode);
      if (entry.type === "symlink") return this.symlink(path, entry.target);
      linkSync(base.locate(entry), join(this.root, path));
      this.written.set(path, entry);
    });
    this.onEntry(this.entries);
  }

  /** Closes what an error left open. */
  close(): void {
    if (this.file !== null) closeSync(this.file.fd);
    this.file = null;
  }

  /** Checks an entry against the tree and the limits, and creates the directories that it implies. */
  private admit(entry: TarEntry) {
    const verdict = checkEntry(entry, this.known);
    if ("rule" in verdict)
      throw new UnpackFailure({ kind: "unsafe", entry: entry.path.slice(0, 512), rule: verdict.rule });
    const { maxEntries } = this.bounds;
    if (this.entries + 1 > maxEntries || this.nodes + verdict.adds.length > maxEntries) {
      throw tooLarge("the number of the archive's entries", "max_entries", maxEntries);
    }
    this.bytes += entry.sizeBytes;
    this.requireByteBound();
    this.entries++;
    for (const add of verdict.adds) {
      this.known.set(fold(add.path), add);
      if (add.kind === "directory") this.guard(() => this.makeDirectory(add.path));
    }
    return verdict;
  }

  private requireByteBound(): void {
    const { maxUnpackedBytes } = this.bounds;
    if (this.bytes + this.extensionBytes > maxUnpackedBytes)
      throw tooLarge("what the archive unpacks to", "max_unpacked_bytes", maxUnpackedBytes);
  }

  private makeDirectory(path: string): void {
    mkdirSync(join(this.root, path));
    this.setDirectoryMode(path, MODE_MASK);
  }

  private setDirectoryMode(path: string, wanted: number): void {
    const mode = (wanted & MODE_MASK) | DIRECTORY_FLOOR;
    chmodSync(join(this.root, path), mode);
    this.written.set(path, { type: "directory", path, mode });
  }

  private symlink(path: string, target: string): void {
    symlinkSync(target, join(this.root, path));
    this.written.set(path, { type: "symlink", path, target });
  }

  private link(path: string, target: string): void {
    linkSync(join(this.root, target), join(this.root, path));
    this.written.set(path, { ...(this.written.get(target) as ManifestEntry), path });
  }

  private closeFile(): void {
    const file = this.file;
    if (file === null) return;
    const { fd, path, hash, entry } = file;
    const mode = (entry.mode & MODE_MASK) | FILE_FLOOR;
    fchmodSync(fd, mode);
    const seconds = entry.mtime ? entry.mtime.getTime() / 1000 : Number.NaN;
    if (seconds >= 0 && seconds < MAX_SECONDS) futimesSync(fd, seconds, seconds);
    this.file = null;
    closeSync(fd);
    this.written.set(path, { type: "file", path, mode, sizeBytes: entry.sizeBytes, sha256: hash.digest("hex") });
  }

  private guard(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw explain(error, this.current);
    }
  }
}

/** The failure that a failed write means. */
function explain(error: unknown, entry: string): unknown {
  if (error instanceof UnpackFailure) return error;
  if (isDiskFull(error)) {
    return new UnpackFailure({
      kind: "diskFull",
      message: `unpacking ${JSON.stringify(entry.slice(0, 512))} found it full`,
    });
  }
  if ((error as NodeJS.ErrnoException).code === "ENAMETOOLONG") {
    return new UnpackFailure({ kind: "unsafe", entry: entry.slice(0, 512), rule: "has a name too long for this disk" });
  }
  return error;
}

function tooLarge(what: string, bound: string, limit: number): UnpackFailure {
  return new UnpackFailure({ kind: "tooLarge", what, bound, limit });
}
