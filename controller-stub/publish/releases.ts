import type { BusSession } from "../../bus/session.ts";
import { PackageInvalidError, ReleaseNotFoundError } from "../../protocol/errors.ts";
import { parseObjectUrl, type Release, releaseSchema } from "../../protocol/release.ts";
import { keys } from "../../protocol/subjects.ts";
import { VersionTakenError } from "../errors.ts";
import { LocalFile } from "./targets/local-file.ts";
import { digestOf, NatsTarget } from "./targets/nats.ts";
import type { PublishTarget } from "./targets/target.ts";

export interface Published extends Release {
  /** Whether the same content was published before. */
  already: boolean;
}

export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/** The name under which a target keeps the `Release`, if it is more than an archive. */
export function releaseName(service: string, version: string): string {
  return `${service}/${version}.json`;
}

export interface ArchiveToPublish {
  service: string;
  version: string;
  file: string;
  /** The addresses of a name in the other places that have the same files. */
  mirrorsOf?: (name: string) => string[];
}

/**
 * Publishes an archive. Its digest is taken first, and the upload fails if the file changes meanwhile.
 * @throws VersionTakenError where the version has other content; ArgumentError where the file can't be read.
 */
export async function publishArchive(
  target: PublishTarget,
  { service, version, file, mirrorsOf = () => [] }: ArchiveToPublish,
  onProgress: OnProgress = () => {},
): Promise<Published> {
  const local = await LocalFile.open(file);
  try {
    const { sha256, sizeBytes } = local;
    const described = await fetchRelease(target, service, version);
    if (described && described.release.sha256 !== sha256 && !described.release.digests?.includes(sha256))
      throw new VersionTakenError(service, version, described.release.sha256, sha256);
    if (described?.release.tree !== undefined) return { ...described.release, already: true };
    const name = keys.archive(service, version);
    const mirrors = mirrorsOf(name);
    const release = { version, url: target.addressOf(name), ...(mirrors.length > 0 && { mirrors }), sha256, sizeBytes };
    const fresh = await putOnce(target, { service, version, name, local }, onProgress);
    // Without mirrors, the archive alone is enough.
    const noted = mirrors.length > 0 && (await describeRelease(target, service, release, () => release));
    return { ...release, already: !fresh && !noted };
  } finally {
    await local.close();
  }
}

/** Puts an archive into the bus's object store. */
export function publishRelease(bus: BusSession, what: ArchiveToPublish, onProgress?: OnProgress): Promise<Published> {
  return publishArchive(new NatsTarget(bus), what, onProgress);
}

interface Upload {
  service: string;
  version: string;
  name: string;
  local: LocalFile;
}

/** @returns false if it was already there. @throws VersionTakenError where other content has the name */
export async function putOnce(
  target: PublishTarget,
  { service, version, name, local }: Upload,
  onProgress: OnProgress,
): Promise<boolean> {
  for (;;) {
    const published = await target.digestOf(name);
    if (published === local.sha256) return false;
    if (published !== null) throw new VersionTakenError(service, version, published, local.sha256);
    // Somebody else published this version meanwhile: the next round tells whether it is the same.
    if (await target.createFile(name, local, (done) => onProgress(done, local.sizeBytes))) return true;
  }
}

/**
 * Replaces the release of a version.
 * @param next makes the new release from the present one
 * @returns whether that changed anything
 */
export async function describeRelease(
  target: PublishTarget,
  service: string,
  { version }: Pick<Release, "version">,
  next: (there: Release | null) => Release,
): Promise<boolean> {
  const name = releaseName(service, version);
  for (;;) {
    const there = await fetchRelease(target, service, version);
    const release = releaseSchema.parse(next(there?.release ?? null));
    if (there && JSON.stringify(there.release) === JSON.stringify(release)) return false;
    if (await target.replaceText(name, `${JSON.stringify(release)}\n`, there?.was ?? null)) return true;
  }
}

export async function fetchRelease(target: PublishTarget, service: string, version: string) {
  const name = releaseName(service, version);
  const was = await target.fetchText(name);
  if (was === null) return null;
  try {
    const release = releaseSchema.parse(JSON.parse(was.text));
    if (release.version === version) return { release, was };
  } catch (cause) {
    throw new PackageInvalidError(target.addressOf(name), "is not the description of a release", { cause });
  }
  throw new PackageInvalidError(target.addressOf(name), `is not of version ${version}`);
}

/** The release of a published version. @throws ReleaseNotFoundError where the version was not published */
export async function findRelease(bus: BusSession, service: string, version: string): Promise<Release> {
  const target = new NatsTarget(bus);
  const described = await fetchRelease(target, service, version);
  const name = described ? parseObjectUrl(described.release.url).name : keys.archive(service, version);
  const info = await target.info(name);
  if (info === null)
    throw new ReleaseNotFoundError(
      version,
      target.addressOf(name),
      "there is no such object; one that was published elsewhere needs --release FILE",
    );
  if (described) return described.release;
  return { version, url: target.addressOf(name), sha256: digestOf(info), sizeBytes: info.size };
}
