import { randomBytes } from "node:crypto";
import { chmod, lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "../../../daemon/durable-file.ts";
import {
  DigestMismatchError,
  DiskFullError,
  ReleaseUntrustedError,
  SlotdError,
  toSlotdError,
} from "../../../protocol/errors.ts";
import { versionSchema } from "../../../protocol/names.ts";
import { type Delta, isSameContent, type Release } from "../../../protocol/release.ts";
import { distrust } from "../../../protocol/signature.ts";
import type { ReleaseBounds, StepOptions } from "../bounds.ts";
import { diskFull, isDiskFull, requireRoom } from "../disk.ts";
import { fetchArchive, requireArchiveBound } from "../fetch/fetch.ts";
import type { ObjectSource } from "../fetch/opened.ts";
import { manifestName } from "../manifest-file.ts";
import { type UnpackJob, unpackInThread } from "../unpack/unpack.ts";
import { RECORD_MODE, readReleaseRecord, recordName, writeRecord } from "./record.ts";

export type { ReleaseBounds, StepOptions, StepProgress as Progress } from "../bounds.ts";

/** A complete, durable release. `tree` is the absolute path of its files, which never change. */
export interface InstalledRelease {
  version: string;
  sha256: string;
  tree: string;
  /** Digest of the tree; null for one that an earlier version of slotd installed. */
  treeDigest: string | null;
}

/** An archive with the ordered size and digest, in a staging directory of its own. */
export interface FetchedArchive {
  release: Release;
  dir: string;
  /** What the archive is a delta against; null where it is whole. */
  base: InstalledRelease | null;
}

/** A delta that did not lead to the ordered tree: the whole archive may. */
export class DeltaFailed extends Error {}

const INCOMING = ".incoming-";
const REMOVING = ".removing-";

/**
 * The releases on this host, one directory per version: `release.json` and `tree/`. A release is built in
 * `.incoming-…`, and gets its name by one rename once all of it is on disk; it loses the name by one rename before
 * anything of it is deleted. So whatever has a version's name is complete, after a crash at any moment, and `prepare`
 * removes the rest. The caller knows what is in use: the store removes whatever it is asked to.
 */
export class ReleaseStore {
  /** Resolves when the last publication or removal has ended: two slots may install the same version. */
  private renames: Promise<unknown> = Promise.resolve();

  constructor(
    readonly dir: string,
    readonly bounds: ReleaseBounds,
    readonly objects: ObjectSource,
  ) {}

  /**
   * Makes the directory, and sweeps what a crash left half-done. To be called once, before anything else.
   * @returns the names swept.
   * @throws when something could not be swept, after trying all; nothing else relies on the sweep.
   */
  async prepare(): Promise<string[]> {
    return this.coded(async () => {
      await mkdir(this.dir, { recursive: true, mode: 0o755 });
      await syncDirectory(dirname(this.dir));
      const names = await readdir(this.dir);
      const left = names.filter((name) => name.startsWith(INCOMING) || name.startsWith(REMOVING));
      const sweeps = await Promise.allSettled(left.map((name) => deleteTree(join(this.dir, name))));
      // An earlier version of slotd let everybody read the records.
      for (const name of names) await chmod(join(this.dir, name, recordName), RECORD_MODE).catch(() => {});
      for (const sweep of sweeps) if (sweep.status === "rejected") throw sweep.reason;
      return left;
    });
  }

  /** The installed release of that very version, or null unless its record and tree are there. */
  async find(version: string): Promise<InstalledRelease | null> {
    if (!versionSchema.safeParse(version).success) return null;
    return this.coded(async () => {
      const dir = join(this.dir, version);
      const record = await readReleaseRecord(dir);
      if (record?.release.version !== version) return null;
      const tree = join(dir, "tree");
      if ((await kindOf(tree)) !== "directory") return null;
      return { version, sha256: record.release.sha256, tree, treeDigest: record.tree ?? null };
    });
  }

  /** What an installed release was made from, or null. */
  async describe(version: string): Promise<Release | null> {
    if ((await this.find(version)) === null) return null;
    return (await readReleaseRecord(join(this.dir, version)))?.release ?? null;
  }

  /** All installed releases, by version. */
  async list(): Promise<InstalledRelease[]> {
    const names = await this.coded(() => readdir(this.dir));
    const found = await Promise.all(names.sort().map((name) => this.find(name)));
    return found.filter((release) => release !== null);
  }

  /** @throws ReleaseUntrustedError where keys are configured, and none of them has signed this very release. */
  requireTrusted(release: Release): void {
    const { trustedKeys } = this.bounds;
    const why = trustedKeys.length === 0 ? null : distrust(release, trustedKeys);
    if (why !== null) throw new ReleaseUntrustedError(release.version, why);
  }

  /**
   * Brings the archive here, or a delta against what is installed, and checks its size and digest. Nothing of it stays
   * if that fails.
   * @param way `whole` where a delta is not to be tried
   * @throws ReleaseNotFoundError, ReleaseUnreachableError, ReleaseTooLargeError, SizeMismatchError,
   * DigestMismatchError, DiskFullError; the signal's reason. DeltaFailed where that may not happen to the whole
   * archive.
   */
  async fetch(release: Release, options: StepOptions, way: "shortest" | "whole" = "shortest"): Promise<FetchedArchive> {
    this.requireTrusted(release);
    await this.reusable(release);
    requireArchiveBound(release, this.bounds);
    const short = way === "shortest" ? await this.shortest(release) : null;
    const archive = short ? { version: release.version, ...short.delta } : release;
    const dir = await this.coded(async () => {
      const baseNodes = short ? (await readReleaseRecord(dirname(short.base.tree)))?.ownNodes : 0;
      await requireRoom(this.dir, archive.sizeBytes, baseNodes);
      return this.makeBeside(INCOMING);
    });
    return this.staged(dir, short !== null, options.signal, async () => {
      await fetchArchive(archive, join(dir, "archive"), this.bounds, this.objects, options);
      return { release, dir, base: short?.base ?? null };
    });
  }

  /**
   * Unpacks a fetched archive and publishes the release under its version, durably. The staging directory is gone
   * afterwards, however this ends. If the version was installed meanwhile, with the same digest, that one is returned.
   * @throws ArchiveUnsafeError, ArchiveCorruptError, ReleaseTooLargeError, DigestMismatchError, DiskFullError; the
   * signal's reason. DeltaFailed where that may not happen to the whole archive.
   */
  async unpack({ release, dir, base }: FetchedArchive, options: StepOptions): Promise<InstalledRelease> {
    return this.staged(dir, base !== null, options.signal, async () => {
      const existing = await this.reusable(release);
      if (existing) {
        await deleteTree(dir);
        return existing;
      }
      const tree = join(dir, "tree");
      await mkdir(tree, { mode: 0o755 });
      await chmod(tree, 0o755);
      const { maxEntries, maxUnpackedBytes } = this.bounds;
      const unpacked = await unpackInThread(
        {
          version: release.version,
          archive: join(dir, "archive"),
          tree,
          manifest: join(dir, manifestName),
          base: base && (await this.baseOf(base)),
          bounds: { maxEntries, maxUnpackedBytes },
        },
        options,
      );
      if (release.tree !== undefined && release.tree !== unpacked.tree)
        throw new DigestMismatchError(release.version, release.tree, unpacked.tree, "the unpacked tree");
      const installedAt = new Date().toISOString();
      const { entries, bytes: unpackedBytes, tree: digest, ownNodes } = unpacked;
      await writeRecord(dir, { release, tree: digest, entries, ownNodes, unpackedBytes, installedAt });
      await rm(join(dir, "archive"));
      // Made for its owner alone; the workers may run as someone else.
      await chmod(dir, 0o755);
      await syncDirectory(dir);
      options.signal.throwIfAborted();
      return this.inTurn(() => this.publish(release, dir));
    });
  }

  /** Takes a version's files away. One that is not there is fine. */
  async remove(version: string): Promise<void> {
    if (!versionSchema.safeParse(version).success) return;
    await this.coded(async () => {
      const aside = await this.inTurn(() => this.setAside(version));
      if (aside) await deleteTree(aside);
    });
  }

  private async publish(release: Release, dir: string): Promise<InstalledRelease> {
    const existing = await this.reusable(release);
    if (existing) {
      await deleteTree(dir);
      return existing;
    }
    // Something without a readable record has the name. It is not deleted, as processes may run from it: the next start
    // sweeps it.
    await this.setAside(release.version);
    const target = join(this.dir, release.version);
    await rename(dir, target);
    await syncDirectory(this.dir);
    const record = await readReleaseRecord(target);
    const { version, sha256 } = release;
    return { version, sha256, tree: join(target, "tree"), treeDigest: record?.tree ?? null };
  }

  /** The smallest delta against a tree that is installed here; null: there is none, or it is not shorter. */
  private async shortest(release: Release): Promise<{ delta: Delta; base: InstalledRelease } | null> {
    if (release.tree === undefined || !release.deltas) return null;
    const here = await this.list();
    const ways = release.deltas
      .flatMap((delta) => here.filter(({ treeDigest }) => treeDigest === delta.base).map((base) => ({ delta, base })))
      .filter(({ delta }) => delta.sizeBytes < release.sizeBytes);
    return ways.sort((x, y) => x.delta.sizeBytes - y.delta.sizeBytes)[0] ?? null;
  }

  /** What the unpacking of a delta has to know of its base. */
  private async baseOf({ version, tree }: InstalledRelease): Promise<UnpackJob["base"]> {
    const record = await readReleaseRecord(dirname(tree));
    if (record === null) throw new Error(`${version}, which the delta is against, is not installed any more`);
    return { tree, manifest: join(dirname(tree), manifestName), installedAt: new Date(record.installedAt) };
  }

  /** Renames a version's directory so that it is no release any more, durably. Null: there was none. */
  private async setAside(version: string): Promise<string | null> {
    const path = join(this.dir, version);
    if ((await kindOf(path)) === null) return null;
    const aside = join(this.dir, `${REMOVING}${token()}`);
    await rename(path, aside);
    await syncDirectory(this.dir);
    return aside;
  }

  /** The installed release with the same digest, if any. Another digest under the same version is refused. */
  private async reusable(release: Release): Promise<InstalledRelease | null> {
    const existing = await this.find(release.version);
    if (existing && !isSameContent({ sha256: existing.sha256, tree: existing.treeDigest }, release)) {
      throw new DigestMismatchError(release.version, release.sha256, existing.sha256, "the installed release");
    }
    return existing;
  }

  private async makeBeside(prefix: string): Promise<string> {
    const dir = join(this.dir, `${prefix}${token()}`);
    await mkdir(dir, { mode: 0o700 });
    return dir;
  }

  /** Runs a step in a staging directory, which is deleted if the step fails. */
  private async staged<T>(dir: string, delta: boolean, signal: AbortSignal, step: () => Promise<T>): Promise<T> {
    try {
      return await this.coded(step, signal);
    } catch (error) {
      // Best effort: what can't be deleted now is swept at the next start.
      await deleteTree(dir).catch(() => {});
      if (!delta || signal.aborted || error instanceof DiskFullError) throw error;
      throw new DeltaFailed((error as Error).message, { cause: error });
    }
  }

  /** Makes sure that what comes out of a step is one of our errors, or the reason of an abort. */
  private async coded<T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof SlotdError) throw error;
      if (isDiskFull(error)) throw await diskFull(this.dir, (error as Error).message, error);
      throw toSlotdError(error);
    }
  }

  private inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.renames.then(step);
    this.renames = turn.catch(() => {});
    return turn;
  }
}

function token(): string {
  return randomBytes(8).toString("hex");
}

async function kindOf(path: string): Promise<"directory" | "other" | null> {
  try {
    return (await lstat(path)).isDirectory() ? "directory" : "other";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function deleteTree(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}
