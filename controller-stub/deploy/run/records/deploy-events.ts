import { ensureEventStream } from "../../../../bus/buckets.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Event } from "../../../../protocol/event.ts";
import { eventStream, subjects } from "../../../../protocol/subjects.ts";

/** A deploy's events on the bus. They are sent when they can be; a deploy does not wait for them. */
export class DeployEvents {
  private readonly sending = new Set<Promise<unknown>>();

  private constructor(
    private readonly bus: BusSession,
    private readonly service: string,
  ) {}

  /** @param warn called where the stream can't be used: events are then lost, and nothing else is */
  static async open(bus: BusSession, service: string, warn: (text: string) => void): Promise<DeployEvents> {
    await ensureEventStream(bus).catch(() => warn(`${eventStream.name} can't be used: no events are kept`));
    return new DeployEvents(bus, service);
  }

  send(message: string, facts: Pick<Event, "version" | "code" | "facts"> = {}): void {
    const at = new Date().toISOString();
    const { service } = this;
    const event: Event = { at, service, host: "controller", slot: "-", kind: "deploy", message, ...facts };
    const subject = subjects.event(service, "controller", "-");
    const sending = this.bus.js.publish(subject, JSON.stringify(event)).catch(() => {});
    this.sending.add(sending);
    void sending.finally(() => this.sending.delete(sending));
  }

  /** Waits for the events that are still being sent. */
  async close(): Promise<void> {
    await Promise.all(this.sending);
  }
}
