import { randomUUID } from "node:crypto";
import type { JetStreamClient } from "@nats-io/jetstream";
import type { Logger } from "pino";
import { abortable } from "../daemon/abortable.ts";
import type { Event } from "../protocol/event.ts";
import { subjects } from "../protocol/subjects.ts";

const KEPT = 1_000;
const TRIES = 5;

/** What of a bus it takes to publish. */
interface EventBus {
  readonly connected: boolean;
  /** The most bytes that the server takes as one message. */
  readonly maxPayload: number;
  readonly jetstream: JetStreamClient;
  whileUp<T>(promise: Promise<T>): Promise<T>;
  on(event: "up", listener: () => void): unknown;
  off(event: "up", listener: () => void): unknown;
}

interface Waiting {
  /** The stream takes an id once, so that an event whose acknowledgement was lost is not there twice. */
  id: string;
  subject: string;
  text: string;
}

/** Puts events on the bus in their order; while it is away they wait, and of too many the oldest are dropped. */
export class EventPublisher {
  private readonly waiting: Waiting[] = [];
  private sending: Promise<void> | null = null;
  private stopped = false;

  constructor(
    private readonly bus: EventBus,
    private readonly log: Logger,
  ) {
    bus.on("up", this.onUp);
  }

  publish(event: Event): void {
    const subject = subjects.event(event.service, event.host, event.slot);
    this.waiting.push({ id: randomUUID(), subject, text: JSON.stringify(event) });
    if (this.waiting.length > KEPT) this.waiting.shift();
    void this.send();
  }

  /** Resolves when all that can be sent now was sent. */
  flush(signal: AbortSignal): Promise<void> {
    return abortable(this.send(), signal);
  }

  stop(): void {
    this.stopped = true;
    this.bus.off("up", this.onUp);
  }

  private readonly onUp = (): void => void this.send();

  private send(): Promise<void> {
    this.sending ??= this.sendAll().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  private async sendAll(): Promise<void> {
    for (let tries = 0; this.waiting.length > 0 && this.bus.connected && !this.stopped; ) {
      const event = this.waiting[0] as Waiting;
      try {
        // One that no server takes must not hold up those behind it.
        if (Buffer.byteLength(event.text) > this.bus.maxPayload)
          this.log.warn({ event }, "event is too large for the bus");
        else await this.bus.whileUp(this.bus.jetstream.publish(event.subject, event.text, { msgID: event.id }));
        if (this.waiting[0] === event) this.waiting.shift();
        tries = 0;
      } catch (error) {
        this.log.debug({ err: error }, "event was not taken");
        if (++tries >= TRIES) return; // The next event, or the bus coming back, tries again.
      }
    }
  }
}
