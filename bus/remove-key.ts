import { headers } from "@nats-io/transport-node";
import { subjects } from "../protocol/subjects.ts";
import type { BucketName } from "./kept.ts";
import type { BusSession } from "./session.ts";

/**
 * Deletes a key, whatever it is called: the client's own way refuses keys that it would not write itself.
 * @throws a conflict (see `isConflict`) where it was written since it had `revision`
 */
export async function removeKey(bus: BusSession, bucket: BucketName, key: string, revision: number): Promise<void> {
  const marker = headers();
  marker.set("KV-Operation", "DEL");
  const expect = { lastSubjectSequence: revision };
  await bus.persist(() => bus.js.publish(subjects.puts(bucket, key), "", { headers: marker, expect }));
}
