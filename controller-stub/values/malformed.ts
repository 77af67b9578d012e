import type { BucketName } from "../../bus/kept.ts";
import { buckets } from "../../protocol/subjects.ts";
import { ControllerError } from "../errors.ts";

/** What a bucket's values are called. */
export const valueNames = {
  [buckets.orders]: "order",
  [buckets.hosts]: "status",
  [buckets.serversets]: "member",
  [buckets.routes]: "routes",
  [buckets.edges]: "edge status",
  [buckets.deploys]: "deploy record",
} as const satisfies Record<BucketName, string>;

/** A value on the bus, or a part of one, that can't be believed. */
export interface Malformed {
  bucket: BucketName;
  key: string;
  /** The rule that it breaks. */
  why: string;
  /** Whether the rest of the value is used. */
  inPart?: true;
}

export type OnMalformed = (malformed: Malformed) => void;

export function malformedText({ bucket, key, why, inPart }: Malformed): string {
  const what = `the ${valueNames[bucket]} under ${key}`;
  if (inPart) return `left out a part of ${what}: ${why}`;
  return `left out ${what}: ${why}; see \`slotd-controller repair ${key.split(".")[0]}\``;
}

/** A value that a verb can't do without can't be read. */
export class ValueMalformedError extends ControllerError {
  readonly code = "VALUE_MALFORMED";
  constructor(readonly malformed: Malformed) {
    const { bucket, key, why } = malformed;
    super(
      `the ${valueNames[bucket]} of ${key} in ${bucket} can't be read (${why}); ` +
        `\`slotd-controller repair ${key}\` shows what it would put there, and does it`,
    );
  }
}
