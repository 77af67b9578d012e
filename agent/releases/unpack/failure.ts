import {
  ArchiveCorruptError,
  ArchiveUnsafeError,
  InternalError,
  ReleaseTooLargeError,
  type SlotdError,
} from "../../../protocol/errors.ts";
import { diskFull } from "../disk.ts";

/** Why an archive was not unpacked, as plain data: an error's class is lost between threads. */
export type UnpackFault =
  | { kind: "unsafe"; entry: string; rule: string }
  | { kind: "tooLarge"; what: string; bound: string; limit: number }
  | { kind: "corrupt"; why: string }
  | { kind: "diskFull"; message: string }
  | { kind: "internal"; message: string };

/** Carries a failure to the thread's end. */
export class UnpackFailure extends Error {
  constructor(readonly failure: UnpackFault) {
    super(failure.kind);
  }
}

export function corrupt(why: string): UnpackFailure {
  return new UnpackFailure({ kind: "corrupt", why });
}

/** The coded error for a failure. `dir`: the directory whose free space a full disk's error reports. */
export async function toError(failure: UnpackFault, dir: string): Promise<SlotdError> {
  switch (failure.kind) {
    case "unsafe":
      return new ArchiveUnsafeError(failure.entry, failure.rule);
    case "tooLarge":
      return new ReleaseTooLargeError(failure.what, failure.bound, failure.limit);
    case "corrupt":
      return new ArchiveCorruptError(failure.why);
    case "diskFull":
      return diskFull(dir, failure.message);
    case "internal":
      return new InternalError(failure.message);
  }
}
