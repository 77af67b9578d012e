import { maxDeployChars, maxValueChars } from "../protocol/decode.ts";
import { buckets } from "../protocol/subjects.ts";

/**
 * The text of a value of a bucket, which anyone may have written. Of one that is larger than any that slotd writes, no
 * more is decoded than shows `decode` that it is too long.
 */
export function valueText(bucket: string, bytes: Uint8Array): string {
  const max = bucket === buckets.deploys ? maxDeployChars : maxValueChars;
  const { buffer, byteOffset, length } = bytes;
  if (length <= max) return Buffer.from(buffer, byteOffset, length).toString("utf8");
  return Buffer.from(buffer, byteOffset, max + 1).toString("latin1");
}
