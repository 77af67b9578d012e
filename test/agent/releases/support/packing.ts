import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  type DeltaHead,
  deltaHeadName,
  deltaOf,
  type Manifest,
  type ManifestEntry,
  sortEntries,
  treeDigest,
} from "../../../../protocol/manifest.ts";
import type { Delta, Release } from "../../../../protocol/release.ts";
import { releaseInFile } from "./installing.ts";
import { type Made, tarOf } from "./tar-builder.ts";

/** What is at a path: a file's text, a program's, a link's target, or a directory with nothing said of it. */
export type Node = string | { program: string } | { link: string } | null;
export type Tree = Record<string, Node>;
type Compress = (tar: Buffer) => Buffer;

/** Bytes that nothing shortens: with them in both trees, a delta is shorter than the whole. */
export const ballast: string = Array.from({ length: 400 }, (_, i) => sha256(String(i))).join("");

/** By the command, which every Node can do without. */
export const zstd: Compress = (tar) => execFileSync("zstd", ["-qc"], { input: tar, maxBuffer: 1e9 });

/** Packs a tree, with a delta against each base. Its archives are files in `into`. */
export async function packTree(
  into: string,
  version: string,
  tree: Tree,
  { bases = [] as Manifest[], compress = gzipSync as Compress } = {},
): Promise<{ release: Release; manifest: Manifest }> {
  const entries = entriesIn(tree);
  const manifest: Manifest = { format: 1, version, tree: treeDigest(entries), entries };
  const made = (of: ManifestEntry[]) => of.map((entry) => madeOf(entry, tree));
  const whole = await releaseInFile(into, version, compress(tarOf(made(entries))));
  const deltas: Delta[] = [];
  for (const base of bases) {
    const { entries: changed, without } = deltaOf(base.entries, entries);
    deltas.push(await packDelta(into, base.tree, { format: 1, base: base.tree, without }, made(changed), compress));
  }
  return { manifest, release: { ...whole, tree: manifest.tree, ...(deltas.length > 0 && { deltas }) } };
}

/** A delta with any head, or none, and then anything. */
export async function packDelta(
  into: string,
  base: string,
  head: DeltaHead | string | null,
  entries: Made[],
  compress: Compress = gzipSync,
): Promise<Delta> {
  const content = typeof head === "string" ? head : JSON.stringify(head);
  const archive = compress(tarOf([...(head === null ? [] : [{ path: deltaHeadName, content }]), ...entries]));
  const { url, sha256, sizeBytes } = await releaseInFile(into, `delta-${Math.random()}`, archive);
  return { base, url, sha256, sizeBytes };
}

/** What is on the disk, as a manifest has it. */
export async function entriesOf(root: string): Promise<ManifestEntry[]> {
  const found: ManifestEntry[] = [];
  // Not `recursive`, which goes through links on some versions of Node.
  const walk = async (directory: string): Promise<void> => {
    for (const name of await readdir(join(root, directory))) {
      const path = join(directory, name);
      const full = join(root, path);
      const stats = await lstat(full);
      const mode = stats.mode & 0o7777;
      if (stats.isDirectory()) {
        found.push({ type: "directory", path, mode });
        await walk(path);
      } else if (stats.isSymbolicLink()) found.push({ type: "symlink", path, target: await readlink(full) });
      else found.push(fileEntry(path, mode, await readFile(full)));
    }
  };
  await walk("");
  return sortEntries(found);
}

function entriesIn(tree: Tree): ManifestEntry[] {
  const entries = new Map<string, ManifestEntry>();
  for (const [path, node] of Object.entries(tree)) {
    const above = path.split("/").slice(0, node === null ? undefined : -1);
    for (const [i] of above.entries()) {
      const directory = above.slice(0, i + 1).join("/");
      entries.set(directory, { type: "directory", path: directory, mode: 0o755 });
    }
    if (typeof node === "string") entries.set(path, fileEntry(path, 0o644, Buffer.from(node)));
    else if (node && "link" in node) entries.set(path, { type: "symlink", path, target: node.link });
    else if (node) entries.set(path, fileEntry(path, 0o755, Buffer.from(node.program)));
  }
  return sortEntries([...entries.values()]);
}

function fileEntry(path: string, mode: number, content: Buffer): ManifestEntry {
  return { type: "file", path, mode, sizeBytes: content.length, sha256: sha256(content) };
}

function madeOf(entry: ManifestEntry, tree: Tree): Made {
  const { path } = entry;
  // Of names that tar's own field does not hold as they are.
  const pax = /[^ -~]/.test(path) ? { pax: { path } } : {};
  if (entry.type === "directory") return { path: `${path}/`, type: "Directory", mode: entry.mode };
  if (entry.type === "symlink") return { path, type: "SymbolicLink", linkpath: entry.target, mode: 0o777 };
  const node = tree[path] as string | { program: string };
  return { path, mode: entry.mode, content: typeof node === "string" ? node : node.program, ...pax };
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
