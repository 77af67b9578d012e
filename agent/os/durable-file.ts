import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces a file so that after a crash at any moment either the old content or the new one is there, whole:
 * write beside, fsync, rename over, fsync the directory. What a crash leaves beside is overwritten the next time; so
 * there must be one writer only.
 */
export function writeDurablySync(path: string, content: string, mode = 0o600): void {
  const beside = `${path}.tmp`;
  try {
    const fd = openSync(beside, "w", mode);
    try {
      const bytes = Buffer.from(content);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  syncDirectorySync(dirname(path));
}

export function syncDirectorySync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
