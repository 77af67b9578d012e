import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Replaces a file so that after a crash at any moment it has either its old or its new content: write a temporary
 * file, fsync, rename, fsync the directory. The next write overwrites a temporary file left by a crash, so there must
 * be only one writer.
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
