import { EventEmitter } from "node:events";
import { InternalError } from "../../protocol/errors.ts";
import type { SlotState } from "../../protocol/states.ts";
import { type SlotEvent, transition } from "./transitions.ts";

/** A slot's state. It changes here and nowhere else. */
export class Machine extends EventEmitter<{ change: [next: SlotState, was: SlotState, event: SlotEvent] }> {
  state: SlotState = "empty";
  since = new Date().toISOString();

  /**
   * @throws InternalError where the table does not know the pair: a fault of this program, after which nothing has
   * changed.
   */
  send(event: SlotEvent): void {
    const was = this.state;
    const next = transition(was, event);
    if (next === null) throw new InternalError(`the event ${event} is not known in state ${was}`);
    this.state = next;
    if (next !== was) this.since = new Date().toISOString();
    this.emit("change", next, was, event);
  }

  knows(event: SlotEvent): boolean {
    return transition(this.state, event) !== null;
  }
}
