import type { Consumer, ConsumerMessages, JetStreamClient } from "@nats-io/jetstream";
import type { ObjectInfo } from "@nats-io/obj";
import type { BusConnection } from "../../../bus/connection.ts";
import type { ObjectSource } from "./opened.ts";

/**
 * Chunks requested at a time, each 128 KiB unless the publisher chose otherwise. This many may be in memory.
 */
const BATCH = 8;
/** The server may drop a reader that is idle for this long: a slow fetch needs a while for each batch. */
const FORGOTTEN_AFTER_MS = 30 * 60_000;

/**
 * The bus's object store, as a source of releases. Its chunks are pulled: the client's own `get` has the server push
 * them, and keeps in memory everything that is not written yet, which may be the whole archive. The store's own digest
 * is not checked, because the order has one.
 */
export function objectSource(bus: Pick<BusConnection, "whenUp" | "jetstream">): ObjectSource {
  return {
    async read(bucket, name, signal) {
      // A bus that is away for a moment must not fail an install; the caller bounds the wait.
      await bus.whenUp(signal);
      const { Objm } = await import("../../../bus/client.ts");
      const { jetstream } = bus;
      const store = await new Objm(jetstream).open(bucket).catch((error: Error) => {
        // The client has no error class for it.
        if (error.message === "object store not found") return null;
        throw error;
      });
      const info = await store?.info(name);
      if (!info || info.deleted) return null;
      if (info.options?.link) throw new Error("it is a link to another object");
      return pulled(jetstream, info);
    },
  };
}

async function pulled(jetstream: JetStreamClient, info: ObjectInfo): Promise<ReadableStream<Uint8Array>> {
  const consumer = await jetstream.consumers.get(`OBJ_${info.bucket}`, {
    filter_subjects: `$O.${info.bucket}.C.${info.nuid}`,
    inactive_threshold: FORGOTTEN_AFTER_MS,
  });
  let batch: ConsumerMessages | null = null;
  const chunks = chunksOf(consumer, info.chunks, (begun) => {
    batch = begun;
  });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        // Ends a `next` that waits, too.
        batch?.stop();
        await chunks.return();
        // A generator that never started has no `finally` to run.
        if (!batch) consumer.delete().catch(() => {});
      },
    },
    { highWaterMark: 0 },
  );
}

async function* chunksOf(
  consumer: Consumer,
  count: number,
  onBatch: (batch: ConsumerMessages) => void,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for (let left = count; left > 0; ) {
      const batch = await consumer.fetch({ max_messages: Math.min(BATCH, left) });
      onBatch(batch);
      const before = left;
      for await (const { data } of batch) {
        left--;
        yield data;
      }
      if (left === before) throw new Error(`the object ended before the last ${left} of its ${count} chunks`);
    }
  } finally {
    consumer.delete().catch(() => {});
  }
}
