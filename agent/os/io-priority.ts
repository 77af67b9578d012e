import { arch } from "node:process";
import { ioprioSet } from "./libc.ts";

/** ioprio_set(2): only when nobody else wants the disk. */
const IDLE_CLASS = 3;
const CLASS_SHIFT = 13;
const WHO_PROCESS = 1;
/** The number of the system call differs between the two platforms. */
const NUMBER: Record<string, number> = { x64: 251, arm64: 30 };

/** Makes the calling thread use the disk only when nobody else does. A kernel that does not know priorities is no reason to fail. */
export function setIdlePriority(): void {
  const number = NUMBER[arch];
  if (number === undefined) return;
  try {
    ioprioSet(number, WHO_PROCESS, 0, IDLE_CLASS << CLASS_SHIFT);
  } catch {
    // Not permitted, or not known here.
  }
}
