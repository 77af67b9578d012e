import { statfs } from "node:fs/promises";
import { DiskFullError } from "../../protocol/errors.ts";

/** Space kept free besides a release, so that the journal and the logs can still be written. */
const MARGIN_BYTES = 8 * 1024 ** 2;
/** Bytes that a directory takes, or a link whose target does not fit into its inode. */
const NODE_BYTES = 4096;
/** Fewer free inodes than this can't hold even a small release. */
const MARGIN_INODES = 64;

/**
 * Checks for room before a fetch: the archive and its unpacked contents are on disk together for a while.
 * @param nodes directories and links to create besides those in the archive
 * @throws DiskFullError saying what is missing.
 */
export async function requireRoom(dir: string, archiveBytes: number, nodes = 0): Promise<void> {
  const room = await freeRoom(dir);
  const neededBytes = archiveBytes * 2 + nodes * NODE_BYTES + MARGIN_BYTES;
  const neededInodes = nodes + MARGIN_INODES + 1;
  if (room.bytes < neededBytes) {
    const missing = neededBytes - room.bytes;
    throw new DiskFullError(dir, `${missing} bytes are missing (${neededBytes} needed, ${room.bytes} free)`);
  }
  if (room.inodes < neededInodes) {
    const missing = neededInodes - room.inodes;
    throw new DiskFullError(dir, `${missing} inodes are missing (${neededInodes} needed, ${room.inodes} free)`);
  }
}

/** Whether a write failed for lack of space, inodes or quota. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * The error for a write that found the disk full. Create it before any clean-up: it states what is free now.
 */
export async function diskFull(dir: string, message: string, cause?: unknown): Promise<DiskFullError> {
  const room = await freeRoom(dir).catch(() => null);
  const free = room ? ` (${room.bytes} bytes and ${room.inodes} inodes free)` : "";
  return new DiskFullError(dir, `${message}${free}`, { cause });
}

async function freeRoom(dir: string): Promise<{ bytes: number; inodes: number }> {
  const stats = await statfs(dir);
  // File systems without a fixed number of inodes (btrfs) report 0 of 0.
  return { bytes: stats.bavail * stats.bsize, inodes: stats.files > 0 ? stats.ffree : Number.POSITIVE_INFINITY };
}
