import { createHash } from "node:crypto";
import { z } from "zod";
import { sha256Schema, versionSchema } from "./names.ts";

const path = z.string().min(1).max(4096);
const mode = z.int().min(0).max(0o777);

/** An entry of a release's tree. `path` is relative to the root, with `/` between names. */
export const manifestEntrySchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("file"), path, mode, sizeBytes: z.int().nonnegative(), sha256: sha256Schema }),
  z.strictObject({ type: z.literal("directory"), path, mode }),
  z.strictObject({ type: z.literal("symlink"), path, target: z.string().min(1).max(4096) }),
]);
export type ManifestEntry = z.infer<typeof manifestEntrySchema>;

/** The contents of a release's tree. `tree` is the digest of the entries, see `treeDigest`. */
export const manifestSchema = z.strictObject({
  format: z.literal(1),
  version: versionSchema,
  tree: sha256Schema,
  entries: z.array(manifestEntrySchema),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** An entry as input of the digest: every field, in this order, as JSON, so that no name can imitate another line. */
function line(entry: ManifestEntry): string {
  switch (entry.type) {
    case "file":
      return JSON.stringify(["file", entry.path, entry.mode, entry.sizeBytes, entry.sha256]);
    case "directory":
      return JSON.stringify(["directory", entry.path, entry.mode]);
    case "symlink":
      return JSON.stringify(["symlink", entry.path, entry.target]);
    default:
      return entry satisfies never;
  }
}

/** Entries in the order of the bytes of their paths. */
export function sortEntries(entries: readonly ManifestEntry[]): ManifestEntry[] {
  const keyed = entries.map((entry) => ({ entry, key: Buffer.from(entry.path) }));
  return keyed.sort((x, y) => Buffer.compare(x.key, y.key)).map(({ entry }) => entry);
}

/**
 * The digest of a tree: SHA-256, in hex, over a line of JSON for each entry, sorted by path. Times, owners and the
 * archive format are not part of it: the same tree has the same digest whether it came from a whole archive or a delta.
 */
export function treeDigest(entries: readonly ManifestEntry[]): string {
  const hash = createHash("sha256");
  for (const entry of sortEntries(entries)) hash.update(`${line(entry)}\n`);
  return hash.digest("hex");
}

/** The first entry of a delta archive: what to do with the base. It is not part of the tree. */
export const deltaHeadName = ".slotd-delta.json";

/** `without`: paths of the base that are not carried over, because they were removed or the archive replaces them. */
export const deltaHeadSchema = z.strictObject({ format: z.literal(1), base: sha256Schema, without: z.array(path) });
export type DeltaHead = z.infer<typeof deltaHeadSchema>;

/**
 * What a delta archive against a base contains: new and changed entries, and the paths of the base that are not carried
 * over. A directory whose mode alone changed is written again; its contents stay.
 */
export function deltaOf(base: readonly ManifestEntry[], target: readonly ManifestEntry[]) {
  const before = new Map(base.map((entry) => [entry.path, line(entry)]));
  const after = new Map(target.map((entry) => [entry.path, line(entry)]));
  return {
    entries: sortEntries(target.filter((entry) => before.get(entry.path) !== line(entry))),
    without: sortEntries(base.filter((entry) => after.get(entry.path) !== line(entry))).map((entry) => entry.path),
  };
}
