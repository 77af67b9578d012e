import type { NatsConnection } from "@nats-io/transport-node";

/** A write of a key: its value, or null where it was deleted. */
export interface Write {
  at: number;
  value: string | null;
}

/** What is written under a key of a bucket from now on, also after reconnections of the connection. */
export async function logKey(nc: NatsConnection, bucket: string, key: string): Promise<Write[]> {
  const writes: Write[] = [];
  nc.subscribe(`$KV.${bucket}.${key}`, {
    callback: (_error, message) => {
      const deleted = message.headers?.get("KV-Operation") !== "" && message.headers !== undefined;
      writes.push({ at: performance.now(), value: deleted ? null : message.string() });
    },
  });
  await nc.flush();
  return writes;
}
