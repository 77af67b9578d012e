import { arch } from "node:process";
import { ioprioSet } from "./libc.ts";

/** ioprio_set(2). */
const BEST_EFFORT_CLASS = 2;
const LOWEST_LEVEL = 7;
const CLASS_SHIFT = 13;
const WHO_PROCESS = 1;
/** The number of the system call differs between the two platforms. */
const NUMBER: Record<string, number> = { x64: 251, arm64: 30 };

/**
 * Gives the calling thread the lowest I/O priority that is still served. Not the idle class: what makes files holds the
 * file system's journal while it waits for the disk, and whoever is never served there lets every fsync of the host
 * wait with it. A kernel that does not know priorities is no reason to fail.
 */
export function setLowIoPriority(): void {
  const number = NUMBER[arch];
  if (number === undefined) return;
  try {
    ioprioSet(number, WHO_PROCESS, 0, (BEST_EFFORT_CLASS << CLASS_SHIFT) | LOWEST_LEVEL);
  } catch {
    // Not permitted, or not known here.
  }
}
