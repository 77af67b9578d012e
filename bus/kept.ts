import { buckets, eventStream, releaseStore } from "../protocol/subjects.ts";

export type BucketName = (typeof buckets)[keyof typeof buckets];

/** What slotd keeps on the bus: buckets, the object store with releases, and the stream of events. */
export type Kept = BucketName | typeof releaseStore | typeof eventStream.name;

export const everythingKept: readonly Kept[] = [...Object.values(buckets), releaseStore, eventStream.name];
