import type { NatsConnection } from "@nats-io/transport-node";
import { subjects } from "../protocol/subjects.ts";
import { valueText } from "./value-text.ts";

export interface PutListener {
  /** A put was heard, or with null a deletion. It is an ordinary message: the stream may have refused it. */
  onPut(key: string, text: string | null): void;
  /** The keys can't be listened to: the user may not. */
  onError?(error: Error): void;
}

/** Calls back with puts into a bucket, by a plain subscription without a consumer. @returns what ends it */
export function listenToKeys(nc: NatsConnection, bucket: string, filter: string, listener: PutListener): () => void {
  const prefix = subjects.puts(bucket, "").length;
  const subscription = nc.subscribe(subjects.puts(bucket, filter), {
    callback: (error, message) => {
      if (error) return listener.onError?.(error);
      const isDeletion = Boolean(message.headers?.get("KV-Operation"));
      listener.onPut(message.subject.slice(prefix), isDeletion ? null : valueText(bucket, message.data));
    },
  });
  return () => subscription.unsubscribe();
}
