import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { type Event, subjects } from "../../protocol/index.ts";
import type { Bus } from "./bus.ts";

const KEPT = 100;
const TRIES = 5;

/** Puts events on the bus in their order; while it is away they wait, and of too many the oldest are dropped. */
export class EventPublisher {
  private readonly waiting: { id: string; event: Event }[] = [];
  private sending = false;

  constructor(
    private readonly bus: Bus,
    private readonly log: Logger,
  ) {
    bus.on("up", () => void this.send());
  }

  publish(event: Event): void {
    this.waiting.push({ id: randomUUID(), event });
    if (this.waiting.length > KEPT) this.waiting.shift();
    void this.send();
  }

  private async send(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    for (let tries = 0; this.waiting.length > 0 && this.bus.connected && tries < TRIES; ) {
      const first = this.waiting[0] as (typeof this.waiting)[number];
      const { service, host, slot } = first.event;
      try {
        // The stream takes an id once, so that an event whose acknowledgement was lost is not there twice.
        const text = JSON.stringify(first.event);
        await this.bus.whileUp(
          this.bus.jetstream.publish(subjects.event(service, host, slot), text, { msgID: first.id }),
        );
        if (this.waiting[0] === first) this.waiting.shift();
        tries = 0;
      } catch (error) {
        tries++; // After the last one, the next event or the bus coming back tries again.
        this.log.debug({ err: error }, "event was not taken");
      }
    }
    this.sending = false;
  }
}
