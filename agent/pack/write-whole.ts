import { createHash, randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../daemon/durable-file.ts";

/** Writes and syncs a new file. The caller syncs the directory. */
export async function writeWhole(
  path: string,
  text: string,
  mode = 0o644,
): Promise<{ sha256: string; sizeBytes: number }> {
  const bytes = Buffer.from(text);
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.length };
}

/** Replaces a file's content atomically and durably. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    await writeWhole(beside, text);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}
