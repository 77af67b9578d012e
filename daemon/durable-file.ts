import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a file so that after a crash at any moment either the old content or the new one is there, whole:
 * write beside, fsync, rename over, fsync the directory. There must be one writer only.
 */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
  const beside = `${path}.tmp`;
  try {
    await writeSynced(beside, content, mode);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Writes a file that nothing refers to yet: its content is on disk when this resolves, its name is not. */
export async function writeSynced(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, "w", mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The names in it are on disk when this resolves. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
