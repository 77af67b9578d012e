import { randomBytes } from "node:crypto";
import type { Cut } from "./trimmer.ts";
import type { OutputStart } from "./worker-output.ts";

/** Of a file and its older half, the part that one process wrote. */
export interface OwnPart {
  inode: bigint;
  /** Where it begins in the file, and in the older half; null: nothing there is known to be its own. */
  begin: number;
  olderBegin: number | null;
}

/** Cuts are counted anew by each agent: only the same agent's numbers can be compared. */
const counter = randomBytes(4).toString("hex");

/** Where a process's part of a file begins that now has this size. */
export function startAt(inode: bigint, sizeBytes: bigint, cut: Readonly<Cut>): OutputStart {
  return [inode, sizeBytes, counter, cut.number].join(":");
}

/**
 * The part of a file that was written since a start.
 * @param cut the file's last one
 * @returns null where the start says nothing of a file
 */
export function ownPart(start: OutputStart, cut: Readonly<Cut>): OwnPart | null {
  const match = /^(\d{1,20}):(\d{1,15}):([0-9a-f]{8}):(\d{1,9})$/.exec(start);
  if (!match) return null;
  const inode = BigInt(match[1] as string);
  const offset = Number(match[2]);
  const cutsSince = match[3] === counter ? cut.number - Number(match[4]) : 0;
  if (cutsSince <= 0) return { inode, begin: offset, olderBegin: null };
  // The file was begun anew since. Its older half is what it was before the last cut.
  const olderBegin = cutsSince <= 2 ? Math.max(0, offset - cut.begin) : 0;
  return { inode, begin: 0, olderBegin };
}
