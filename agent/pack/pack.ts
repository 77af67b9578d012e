import type { KeyObject } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "../../daemon/durable-file.ts";
import { deltaOf, type Manifest, treeDigest } from "../../protocol/manifest.ts";
import {
  type ArchiveFormat,
  formatPackage,
  type PackedFile,
  packageFiles,
  packageSuffix,
  type ReleasePackage,
} from "../../protocol/package.ts";
import { readReleaseConfig, releaseConfigName } from "../config/release-config.ts";
import { scan } from "./scan.ts";
import { signed } from "./sign.ts";
import { writeArchive } from "./write-archive.ts";
import { writeWhole } from "./write-whole.ts";

const never = new AbortController().signal;

export interface PackJob {
  directory: string;
  name: string;
  version: string;
  formats: readonly ArchiveFormat[];
  /** Manifests of the releases to make deltas against. */
  bases: readonly Manifest[];
  /** Keys to sign with; none by default. */
  keys?: readonly KeyObject[];
  /** The output directory. */
  to: string;
  /**
   * Modification time of all entries in seconds since 1970, from SOURCE_DATE_EPOCH; null: derived from the contents.
   */
  mtimeSeconds: number | null;
  signal?: AbortSignal;
  /** `step` is the current step; `done` and `total` count files or bytes. */
  onProgress(step: string, done: number, total: number): void;
}

export type Format = ArchiveFormat;

/** A packed file, with its full path. */
export type Packed = PackedFile & { base?: string };

export interface PackResult {
  manifest: Manifest;
  archives: Packed[];
  deltas: Packed[];
  description: ReleasePackage;
  /** The description's path. */
  path: string;
}

/**
 * Packs a directory: a manifest, an archive in each format, a delta in each format against each base, and their
 * description. All files are written to a temporary directory and renamed when all are complete; an error leaves
 * nothing behind.
 * @throws PackRefusedError, ReleaseConfigError; the signal's reason.
 */
export async function pack(job: PackJob): Promise<PackResult> {
  const { directory, name, version, to, signal = never, onProgress } = job;
  const entries = await scan(directory, signal, (done, total) => onProgress("reading", done, total));
  if (entries.some(({ path }) => path === releaseConfigName)) await readReleaseConfig(version, directory);
  const manifest: Manifest = { format: 1, version, tree: treeDigest(entries), entries };
  await mkdir(to, { recursive: true });
  const aside = await mkdtemp(join(to, `.${name}-${version}-`));
  try {
    const description = await writeAll(aside, job, manifest);
    const file = `${name}-${version}${packageSuffix}`;
    const text = formatPackage(description);
    await writeWhole(join(aside, file), text);
    signal.throwIfAborted();
    await publish(aside, to, { description, file, text });
    const published = <T extends PackedFile>(each: T) => ({ ...each, file: join(to, each.file) });
    const { archives, deltas } = description;
    return {
      manifest,
      archives: archives.map(published),
      deltas: deltas.map(published),
      description,
      path: join(to, file),
    };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function writeAll(aside: string, job: PackJob, manifest: Manifest): Promise<ReleasePackage> {
  const { directory: root, name, version, formats, mtimeSeconds, signal = never } = job;
  const write = (file: string, rest: Pick<Parameters<typeof writeArchive>[1], "entries" | "head" | "format">) => {
    const onProgress = (done: number, total: number) => job.onProgress(`packing ${file}`, done, total);
    return writeArchive(join(aside, file), { root, mtimeSeconds, signal, onProgress, ...rest });
  };
  const archives: PackedFile[] = [];
  const deltas: ReleasePackage["deltas"] = [];
  for (const format of formats)
    archives.push(await write(`${name}-${version}.tar.${format}`, { entries: manifest.entries, format }));
  for (const base of job.bases) {
    const { entries, without } = deltaOf(base.entries, manifest.entries);
    const head = { format: 1 as const, base: base.tree, without };
    for (const format of formats) {
      const file = `${name}-${version}-from-${base.version}.tar.${format}`;
      deltas.push({ ...(await write(file, { entries, head, format })), base: base.tree });
    }
  }
  const manifestFile = `${name}-${version}.manifest.json`;
  const written = await writeWhole(join(aside, manifestFile), `${JSON.stringify(manifest)}\n`);
  const described: ReleasePackage = {
    format: 1,
    version,
    tree: manifest.tree,
    manifest: { file: manifestFile, ...written },
    archives,
    deltas,
    signatures: [],
  };
  return signed(described, job.keys ?? []);
}

/**
 * Removes a different old description first, and renames the new one last, so that a description never lies beside
 * other files.
 */
async function publish(
  aside: string,
  to: string,
  { description, file, text }: { description: ReleasePackage; file: string; text: string },
): Promise<void> {
  const before = await readFile(join(to, file), "utf8").catch(() => null);
  if (before !== null && before !== text) {
    await rm(join(to, file));
    await syncDirectory(to);
  }
  for (const each of packageFiles(description)) await rename(join(aside, each.file), join(to, each.file));
  await syncDirectory(to);
  await rename(join(aside, file), join(to, file));
  await syncDirectory(to);
  await syncDirectory(dirname(to));
}
