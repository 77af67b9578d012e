import type { Logger } from "pino";
import { type Event, subjects } from "../../protocol/index.ts";
import type { Bus } from "./bus.ts";

const KEPT = 1_000;
const TRIES = 5;

/** Puts events on the bus in their order; while it is away they wait, and of too many the oldest are dropped. */
export class EventPublisher {
  private readonly waiting: Event[] = [];
  private sending = false;
  private stopped = false;

  constructor(
    private readonly bus: Bus,
    private readonly log: Logger,
  ) {
    bus.on("up", () => void this.send());
  }

  publish(event: Event): void {
    this.waiting.push(event);
    if (this.waiting.length > KEPT) this.waiting.shift();
    void this.send();
  }

  stop(): void {
    this.stopped = true;
  }

  private async send(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let tries = 0; this.waiting.length > 0 && this.bus.connected && !this.stopped; ) {
        const event = this.waiting[0] as Event;
        try {
          const subject = subjects.event(event.service, event.host, event.slot);
          await this.bus.jetstream.publish(subject, JSON.stringify(event));
          this.waiting.splice(this.waiting.indexOf(event), 1);
          tries = 0;
        } catch (error) {
          this.log.debug({ err: error }, "event was not taken");
          if (++tries >= TRIES) return; // The next event, or the bus coming back, tries again.
        }
      }
    } finally {
      this.sending = false;
    }
  }
}
