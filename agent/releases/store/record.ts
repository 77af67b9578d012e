import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { sha256Schema } from "../../../protocol/names.ts";
import { releaseSchema } from "../../../protocol/release.ts";

const count = z.int().nonnegative();

/** `release.json`: what was ordered, the result, and when. Ignores unknown keys of later versions. */
const recordSchema = z.object({
  release: releaseSchema,
  /** Digest of the tree; releases of earlier versions of slotd have none. */
  tree: sha256Schema.optional(),
  entries: count,
  /** Directories and symbolic links: a delta against this tree creates them again, even if nothing changed. */
  ownNodes: count.optional(),
  unpackedBytes: count,
  installedAt: z.iso.datetime(),
});
export type ReleaseRecord = z.infer<typeof recordSchema>;

export const recordName = "release.json";
/** Its owner's alone: the release's address may hold a login. */
export const RECORD_MODE = 0o600;

/** Writes `release.json` into `dir` and syncs it. The caller that renames the directory syncs it. */
export async function writeRecord(dir: string, record: ReleaseRecord): Promise<void> {
  const file = await open(join(dir, recordName), "wx", RECORD_MODE);
  try {
    await file.writeFile(`${JSON.stringify(record, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The record in `dir`, or null if there is no valid one. Throws if the disk can't be read (EIO, EACCES). */
export async function readReleaseRecord(dir: string): Promise<ReleaseRecord | null> {
  let text: string;
  try {
    text = await readFile(join(dir, recordName), "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") return null;
    throw error;
  }
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
