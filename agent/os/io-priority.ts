import { arch } from "node:process";
import { ioprioSet } from "./libc.ts";

/** ioprio_set(2). */
const BEST_EFFORT_CLASS = 2;
const LOWEST_LEVEL = 7;
const CLASS_SHIFT = 13;
const WHO_PROCESS = 1;
/** The system call's number by platform. */
const SYSCALL_NUMBER: Record<string, number> = { x64: 251, arm64: 30 };

/**
 * Sets a thread's I/O priority to the lowest best-effort level, by its id in the kernel. Not the idle class: a thread
 * that creates files holds the file system's journal while it waits for the disk, and if it is starved, every fsync on
 * the host waits for it. Does nothing on a kernel without I/O priorities.
 */
export function setLowIoPriority(tid: number): void {
  const number = SYSCALL_NUMBER[arch];
  if (number === undefined) return;
  try {
    ioprioSet(number, WHO_PROCESS, tid, (BEST_EFFORT_CLASS << CLASS_SHIFT) | LOWEST_LEVEL);
  } catch {
    // Not permitted, or not supported.
  }
}
