import { EventEmitter } from "node:events";
import type { Event } from "../protocol/event.ts";

const KEPT = 1_000;

/** The newest events of this agent, for the local command line; the bus keeps them for longer. */
export class EventLog extends EventEmitter<{ event: [Event] }> {
  private readonly events: Event[] = [];

  constructor() {
    super();
    this.setMaxListeners(0);
  }

  add(event: Event): void {
    this.events.push(event);
    if (this.events.length > KEPT) this.events.shift();
    this.emit("event", event);
  }

  last(count: number): Event[] {
    return count > 0 ? this.events.slice(-count) : [];
  }
}
