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
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { ReleaseBounds } from "./bounds.ts";
import { checkEntry, fold, type NodeKind } from "./check-entry.ts";
import { isDiskFull } from "./disk.ts";
import { UnpackFailure } from "./failure.ts";
import type { TarEntry, TarHandler } from "./tar-reader.ts";

/** Nobody but the owner may change an installed release, and everybody may run it, if the archive says so. */
const MODE_MASK = 0o755;
/** The owner has to be able to read every file, to sync it, and to enter every directory, to remove it. */
const FILE_FLOOR = 0o400;
const DIRECTORY_FLOOR = 0o700;
/** Two, and not more: file calls of the whole process share four threads, and the journal needs one of them. */
const SYNCS_AT_ONCE = 2;
/** Beyond the year 2242 file systems differ. */
const MAX_SECONDS = 2 ** 33;
/** Never follows and never replaces: whatever is there already, is not the archive's. */
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes the entries of an archive below `root`, each after it was checked. Its calls block, which is fine in a thread of their own.
 * Throws UnpackFailure.
 */
export class TreeWriter implements TarHandler {
  readonly #known = new Map<string, { path: string; kind: NodeKind }>();
  #fd: number | null = null;
  #current: TarEntry | null = null;
  /** Entries of the archive, for progress. */
  entries = 0;
  bytes = 0;

  constructor(
    readonly root: string,
    readonly bounds: Pick<ReleaseBounds, "maxEntries" | "maxUnpackedBytes">,
    readonly onEntry: (entries: number) => void,
  ) {}

  /** How many files, links and directories there are now. */
  get nodes(): number {
    return this.#known.size;
  }

  entry(entry: TarEntry): void {
    const verdict = checkEntry(entry, this.#known);
    if ("rule" in verdict)
      throw new UnpackFailure({ kind: "unsafe", entry: entry.path.slice(0, 512), rule: verdict.rule });
    const { maxEntries, maxUnpackedBytes } = this.bounds;
    if (this.entries + 1 > maxEntries || this.nodes + verdict.adds.length > maxEntries) {
      throw tooLarge("the number of the archive's entries", "max_entries", maxEntries);
    }
    this.bytes += entry.sizeBytes;
    if (this.bytes > maxUnpackedBytes) {
      throw tooLarge("what the archive unpacks to", "max_unpacked_bytes", maxUnpackedBytes);
    }
    this.entries++;
    this.#current = entry;
    for (const add of verdict.adds) {
      this.#known.set(fold(add.path), add);
      if (add.kind === "directory") this.#guard(() => this.#makeDirectory(add.path));
    }
    const path = join(this.root, verdict.path);
    this.#guard(() => {
      if (verdict.kind === "file") this.#fd = openSync(path, CREATE, 0o600);
      else if (verdict.kind === "symlink") symlinkSync(verdict.target, path);
      // Not for the root, whose mode is an accident of the directory that somebody packed.
      else if (verdict.kind === "directory" && verdict.path !== "") {
        chmodSync(path, (entry.mode & MODE_MASK) | DIRECTORY_FLOOR);
      } else if (verdict.kind === "hardlink") linkSync(join(this.root, verdict.target), path);
    });
  }

  data(chunk: Uint8Array): void {
    const fd = this.#fd;
    if (fd === null) return;
    this.#guard(() => {
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    });
  }

  entryEnd(): void {
    this.#guard(() => this.#closeFile());
    this.onEntry(this.entries);
  }

  /** Ends what an error left open. */
  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** Makes every file and directory durable. A directory's own name is durable with its parent, and the root's is the caller's. */
  async sync(): Promise<void> {
    const paths = [this.root];
    for (const { path, kind } of this.#known.values()) {
      if (kind === "file" || kind === "directory") paths.push(join(this.root, path));
    }
    const queue = paths.values();
    const worker = async () => {
      for (const path of queue) await syncPath(path);
    };
    await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, worker));
  }

  #makeDirectory(path: string): void {
    const full = join(this.root, path);
    mkdirSync(full);
    chmodSync(full, MODE_MASK);
  }

  #closeFile(): void {
    const fd = this.#fd;
    const entry = this.#current;
    if (fd === null || entry === null) return;
    fchmodSync(fd, (entry.mode & MODE_MASK) | FILE_FLOOR);
    const seconds = entry.mtime ? entry.mtime.getTime() / 1000 : Number.NaN;
    if (seconds >= 0 && seconds < MAX_SECONDS) futimesSync(fd, seconds, seconds);
    this.#fd = null;
    closeSync(fd);
  }

  #guard(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw explain(error, this.#current?.path ?? "");
    }
  }
}

async function syncPath(path: string): Promise<void> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw explain(error, path);
  }
}

/** A failed write in the words of the failure it means. */
function explain(error: unknown, entry: string): unknown {
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
