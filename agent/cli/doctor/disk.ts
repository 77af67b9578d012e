import { accessSync, constants, existsSync, type StatsFs, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { bytes, percent } from "../render/amounts.ts";
import { type Check, fail, ok, reason, warn } from "./check.ts";

const WARN_PERCENT = 15;
const FAIL_PERCENT = 5;
const FAIL_BYTES = 100 * 1024 ** 2;
const FREE_IT = "free space there: old releases, archives, other programs' logs";

/** Free space for releases, the journal and logs, and whether files can be created there. */
export function checkDisk(stateDirectory: string): Check[] {
  const directory = existing(stateDirectory);
  try {
    const stats = statfsSync(directory);
    return [checkSpace(directory, stats), checkInodes(directory, stats), checkWritable(stateDirectory, directory)];
  } catch (error) {
    return [fail("disk space", `${directory} can't be checked (${reason(error)})`, "run doctor with sudo")];
  }
}

export function checkSpace(directory: string, stats: Pick<StatsFs, "bavail" | "blocks" | "bsize">): Check {
  const freeBytes = stats.bavail * stats.bsize;
  const share = percent(stats.bavail, stats.blocks);
  const found = `${bytes(freeBytes)} free on ${directory} (${share}%)`;
  if (share < FAIL_PERCENT || freeBytes < FAIL_BYTES) return fail("disk space", found, FREE_IT);
  return share < WARN_PERCENT ? warn("disk space", found, FREE_IT) : ok("disk space", found);
}

export function checkInodes(directory: string, stats: Pick<StatsFs, "ffree" | "files">): Check {
  // File systems without a fixed number of inodes (btrfs) report 0 of 0.
  if (stats.files === 0) return ok("disk inodes", `no fixed number on ${directory}`);
  const share = percent(stats.ffree, stats.files);
  const found = `${stats.ffree} free on ${directory} (${share}%)`;
  if (share < FAIL_PERCENT) return fail("disk inodes", found, "remove directories with many small files");
  return share < WARN_PERCENT
    ? warn("disk inodes", found, "remove directories with many small files")
    : ok("disk inodes", found);
}

function checkWritable(wanted: string, directory: string): Check {
  const name = "state directory";
  const exists = wanted === directory;
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return ok(name, exists ? `${wanted} is writable` : `${wanted} does not exist yet, but can be created`);
  } catch (error) {
    const found = `${wanted} ${exists ? "is not writable" : "does not exist and can't be created"} by you (${reason(error)})`;
    if (process.getuid?.() === 0) return fail(name, found, "mount it writable, or set another state_directory");
    return warn(name, found, "run doctor with sudo, or as slotd's user");
  }
}

/** The directory itself, or its nearest existing parent. */
function existing(directory: string): string {
  return existsSync(directory) || directory === "/" ? directory : existing(dirname(directory));
}
