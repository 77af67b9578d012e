import type { JetStreamManager, StreamInfo } from "@nats-io/jetstream";
import { subjects } from "../protocol/subjects.ts";

/**
 * What the leader of a bucket's stream says of it. Only a leader with a quorum answers.
 * @param filter keys to count, as `state.subjects`
 */
export function bucketInfo(jsm: JetStreamManager, bucket: string, filter?: string): Promise<StreamInfo> {
  return jsm.streams.info(
    bucketStream(bucket),
    filter === undefined ? undefined : { subjects_filter: subjects.puts(bucket, filter) },
  );
}

/** The stream behind a bucket. */
export function bucketStream(bucket: string): string {
  return `KV_${bucket}`;
}

/** The keys that were counted, by the stream's own list of subjects. */
export function keysIn(bucket: string, { state }: StreamInfo): string[] {
  const prefix = subjects.puts(bucket, "").length;
  return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix));
}

/**
 * Tells when a listing of keys is whole. Neither the server's count of what is to come (`delta`) nor the client's own
 * end of the listing can be used: where keys are written over meanwhile, as when the bus is back and every host reports
 * at once, the server counts too many or too few. So the keys are counted first, and each has to be heard.
 */
export class ListingCount {
  private readonly missing: Set<string>;
  /** The last revision of the bucket when it was counted. */
  readonly last: number;

  constructor(bucket: string, info: StreamInfo) {
    this.missing = new Set(keysIn(bucket, info));
    this.last = info.state.last_seq;
  }

  /** @returns whether the key was waited for */
  hear(key: string): boolean {
    return this.missing.delete(key);
  }

  get isWhole(): boolean {
    return this.missing.size === 0;
  }
}
