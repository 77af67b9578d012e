import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PackageInvalidError } from "../../protocol/errors.ts";
import {
  type ArchiveFormat,
  type PackedFile,
  packageFiles,
  parsePackage,
  type ReleasePackage,
  toRelease,
} from "../../protocol/package.ts";
import type { Release } from "../../protocol/release.ts";
import { keys } from "../../protocol/subjects.ts";
import { ArgumentError, VersionTakenError } from "../errors.ts";
import { describeRelease, fetchRelease, type OnProgress, type Published, putOnce } from "./releases.ts";
import { LocalFile } from "./targets/local-file.ts";
import type { PublishTarget } from "./targets/target.ts";

export interface PackageToPublish {
  service: string;
  version: string;
  /** NAME-V.release.json. The files that it names are in the same directory. */
  file: string;
  /** The format of the archive that hosts get; by default the first that was packed. */
  format?: ArchiveFormat | undefined;
  /** Whether it may have been packed under another name than the service's. */
  anyName?: boolean;
  /** The addresses of a name in the other places that have the same files. */
  mirrorsOf?: (name: string) => string[];
}

/**
 * Publishes every file of a package, then its release, so that a version that can be ordered is complete. Signatures,
 * deltas and mirrors may be added later; the tree of a version, and the bytes of a file, never change.
 * @throws VersionTakenError, PackageInvalidError, ArgumentError, PublishFailedError
 */
export async function publishPackage(
  target: PublishTarget,
  { service, version, file, format, anyName = false, mirrorsOf = () => [] }: PackageToPublish,
  onProgress: OnProgress = () => {},
): Promise<Published> {
  const description = await readPackage(file);
  if (description.version !== version)
    throw new ArgumentError("<version>", `must be ${description.version}, as ${file} says`);
  const packedAs = packedName(description);
  if (!anyName && packedAs !== service)
    throw new ArgumentError("<file>", `is of ${packedAs}, not of ${service}; --any-name publishes it all the same`);
  const nameOf = (each: string) => `${service}/${version}/${each}`;
  const addressOf = (each: string) => ({ url: target.addressOf(nameOf(each)), mirrors: mirrorsOf(nameOf(each)) });
  const release = toRelease(description, format, addressOf);
  if (release === undefined) throw new ArgumentError("--format", `${format} is not among what ${file} describes`);
  const next = (there: Release | null) => succeed(service, description, release, there);

  const files = await openAll(dirname(file), description);
  try {
    // Nothing is sent unless the version is free or the same.
    await requireSame(target, service, description, next);
    const total = [...files.values()].reduce((sum, local) => sum + local.sizeBytes, 0);
    let before = 0;
    let fresh = false;
    for (const [name, local] of files) {
      const upload = { service, version, name: nameOf(name), local };
      fresh = (await putOnce(target, upload, (done) => onProgress(before + done, total))) || fresh;
      before += local.sizeBytes;
      onProgress(before, total);
    }
    let published = release;
    const described = await describeRelease(target, service, release, (there) => {
      published = next(there);
      return published;
    });
    return { ...published, already: !fresh && !described };
  } finally {
    for (const local of files.values()) await local.close();
  }
}

/** The name that `slotctl pack` gave its files: NAME-VERSION.tar.gz. */
function packedName({ version, archives }: ReleasePackage): string {
  const [{ file }] = archives as [PackedFile];
  const end = file.lastIndexOf(`-${version}.tar`);
  return end > 0 ? file.slice(0, end) : file;
}

/**
 * The release that hosts get from now on. Signatures by other keys, and mirrors, that were added to the same content
 * stay.
 */
function succeed(service: string, { archives }: ReleasePackage, release: Release, there: Release | null): Release {
  if (there === null) return release;
  const { version, tree = "" } = release;
  const sameBytes = archives.some(({ sha256 }) => sha256 === there.sha256);
  if (there.tree === undefined ? !sameBytes : there.tree !== tree)
    throw new VersionTakenError(service, version, there.tree ?? there.sha256, there.tree ? tree : release.sha256);
  const sameDigests = [...(there.digests ?? [])].sort().join() === [...(release.digests ?? [])].sort().join();
  const own = release.signatures ?? [];
  const others = (sameDigests ? (there.signatures ?? []) : []).filter(({ key }) =>
    own.every((each) => each.key !== key),
  );
  const signatures = [...own, ...others].sort((x, y) => (x.key < y.key ? -1 : 1)).slice(0, 8);
  const known = new Map([there, ...(there.deltas ?? [])].map(({ sha256, mirrors }) => [sha256, mirrors]));
  const mirrored = <T extends Pick<Release, "sha256" | "mirrors">>(archive: T): T => {
    const mirrors = archive.mirrors ?? known.get(archive.sha256);
    return { ...archive, ...(mirrors && { mirrors }) };
  };
  return {
    ...mirrored(release),
    ...(release.deltas && { deltas: release.deltas.map(mirrored) }),
    ...(signatures.length > 0 && { signatures }),
  };
}

async function requireSame(
  target: PublishTarget,
  service: string,
  { version, archives }: ReleasePackage,
  next: (there: Release | null) => Release,
): Promise<void> {
  next((await fetchRelease(target, service, version))?.release ?? null);
  const plain = await target.digestOf(keys.archive(service, version));
  if (plain !== null && archives.every(({ sha256 }) => sha256 !== plain))
    throw new VersionTakenError(service, version, plain, (archives[0] as PackedFile).sha256);
}

async function readPackage(file: string): Promise<ReleasePackage> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new ArgumentError("<file>", `can't be read: ${(cause as Error).message}`, { cause });
  }
  return parsePackage(text, file);
}

/** The files by name. Each must match the description. Deltas and archives come first, since hosts need no manifest. */
async function openAll(directory: string, description: ReleasePackage): Promise<Map<string, LocalFile>> {
  const files = new Map<string, LocalFile>();
  try {
    for (const { file, sha256, sizeBytes } of packageFiles(description)) {
      const local = await LocalFile.open(join(directory, file));
      files.set(file, local);
      if (local.sha256 !== sha256 || local.sizeBytes !== sizeBytes)
        throw new PackageInvalidError(local.path, `has sha256 ${local.sha256}, but ${sha256} was packed`);
    }
  } catch (error) {
    for (const local of files.values()) await local.close();
    throw error;
  }
  return files;
}
