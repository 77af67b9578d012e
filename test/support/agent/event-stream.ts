import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Event, eventSchema } from "../../../protocol/event.ts";
import { eventStream } from "../../../protocol/subjects.ts";
import { until } from "../until.ts";
import type { Host } from "./host.ts";

/** What was read of the stream on a connection: each message is asked for once. */
const readers = new WeakMap<NatsConnection, { next: number; events: Event[] }>();

/** A host's events as the stream has them, oldest first. */
export async function streamEvents(host: Host): Promise<Event[]> {
  const nc = await host.bus();
  const manager = await jetstreamManager(nc);
  const { state } = await manager.streams.info(eventStream.name);
  const known = readers.get(nc);
  // A stream that ends before what was read of it is another one.
  const reader = known && state.last_seq >= known.next - 1 ? known : { next: 1, events: [] };
  readers.set(nc, reader);
  for (let seq = Math.max(reader.next, state.first_seq); seq > 0 && seq <= state.last_seq; seq++) {
    const message = await manager.streams.getMessage(eventStream.name, { seq });
    if (message) reader.events.push(eventSchema.parse(message.json()));
    reader.next = seq + 1;
  }
  return reader.events.filter((event) => event.host === host.name);
}

/** Waits until an event is on the stream. */
export function untilEvent(host: Host, what: string, is: (event: Event) => boolean): Promise<Event> {
  return until(`the stream has an event: ${what}`, async () => (await streamEvents(host)).find(is));
}
