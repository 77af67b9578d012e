import { decide, type SlotView, type Step } from "../../../agent/slots/decide.ts";
import { type SlotEvent, transition } from "../../../agent/slots/transitions.ts";
import { type Order, orderVersion } from "../../../protocol/order.ts";

/**
 * How a step goes in the model: to its end, half-way with an error, half-way because something else is wanted, or the
 * agent dies in it.
 */
export type Luck = "succeeds" | "fails" | "is left" | "crashes";

/**
 * A slot without processes: `decide` and the transition table drive it as they drive the real one, and its steps do to
 * the view what the real steps do. It checks at each step what must hold in every history.
 */
export class ModelSlot {
  view: SlotView = {
    state: "empty",
    resident: null,
    pending: null,
    staged: false,
    running: false,
    drained: false,
    held: false,
    leaving: false,
    crashLooped: false,
    shutdown: false,
    retry: false,
  };
  readonly history: string[] = [];
  /** A proven release that failed is waiting to be tried again. */
  private retryLater = false;

  get next(): Step {
    return decide(this.view);
  }

  take(order: Order): void {
    this.log(`order ${order.action}`);
    const isAboutResident = this.view.resident?.release.version === orderVersion(order);
    const leaving = isAboutResident ? order.action === "uninstall" : this.view.leaving;
    this.set({ pending: order, staged: false, held: false, crashLooped: false, leaving });
    this.retryLater = false;
  }

  /** What the timer of a failed, proven release does. */
  retryIsDue(): void {
    if (this.retryLater) this.set({ retry: true });
    this.retryLater = false;
  }

  hold(): void {
    if (this.view.state === "serving" && !this.view.pending) this.set({ held: true });
  }

  takeBack(): void {
    if (this.view.state === "draining") this.set({ held: false, pending: null, leaving: false });
  }

  restart(): void {
    const { state, resident, leaving } = this.view;
    if (leaving) return;
    if (resident && (state === "serving" || state === "failed")) this.set({ retry: true, crashLooped: false });
  }

  /** Its workers crash in a loop. */
  loop(): void {
    const { state, pending, resident } = this.view;
    const stays = !pending || (pending.action === "install" && pending.release.version === resident?.release.version);
    if (stays && (state === "serving" || state === "draining")) this.set({ crashLooped: true, pending: null });
  }

  /** The agent's end and the next one's beginning: what is in memory is lost, the workers are found again. */
  crash(): void {
    const { running, resident } = this.view;
    this.log("crash");
    this.retryLater = false;
    this.set({
      state: "empty",
      staged: false,
      drained: false,
      retry: false,
      shutdown: false,
      running: running && resident !== null,
    });
    if (this.view.running) this.send(resident?.proven ? "adopt" : "start");
    else this.send(this.view.crashLooped && resident ? "fail" : "clear");
  }

  /** Takes the next step; false where there is none. */
  step(luck: Luck): boolean {
    const step = this.next;
    if (step === null) return false;
    this.log(`${step} ${luck}`);
    this.check(step);
    if (luck === "crashes") this.crash();
    else if (luck === "succeeds") this.perform(step);
    else if (luck === "fails") this.fail(step);
    else this.leave(step);
    return true;
  }

  private check(step: Step): void {
    const { state, pending, resident, shutdown, held, leaving } = this.view;
    const goal = pending?.action === "install" ? pending.release.version : null;
    const goes =
      shutdown ||
      leaving ||
      (pending &&
        (pending.action === "install"
          ? goal !== resident?.release.version
          : pending.version === resident?.release.version));
    if (step === "drain" && !goes && !held) throw this.violation("drains what is to stay");
    if (step === "stop" && (state === "serving" || (state === "draining" && !this.view.drained)))
      throw this.violation("stops without having drained");
    if (step === "fail" && !this.view.crashLooped) throw this.violation("gives up what is well");
    if (step === "stop" && !goes && state !== "stopping" && state !== "failed")
      throw this.violation("stops what is to stay");
    const comes = pending?.action === "install" && goal !== resident?.release.version;
    if (comes && !this.view.staged && !shutdown && (step === "drain" || step === "stop" || step === "remove"))
      throw this.violation("takes away what serves before its successor is there");
    if (step === "remove" && (!goes || shutdown || this.view.running)) throw this.violation("removes what is to stay");
    if (step === "start" && this.view.running && state === "serving") throw this.violation("starts what serves");
  }

  private perform(step: Step): void {
    const { pending } = this.view;
    this.noteLeaving(step);
    const install = pending?.action === "install" ? pending : null;
    this.begin(step);
    if (step === "start") {
      this.set({ resident: this.view.resident && { ...this.view.resident, proven: true } });
      this.send("ready");
    } else if (step === "fetch") {
      if (!this.view.running) this.send("unpack");
      this.set({ staged: true });
    } else if (step === "drain") this.set({ drained: true });
    else if (step === "stop") this.set({ running: false, drained: false });
    else if (step === "fail") this.set({ running: false, drained: false });
    else if (step === "remove") this.set({ resident: null, leaving: false });
    else if (step === "settle") {
      if (!install && !this.view.resident) this.send("clear");
      this.set({ pending: null });
    }
  }

  private begin(step: Step): void {
    const { pending, resident } = this.view;
    switch (step) {
      case "fetch":
        if (!this.view.running) this.send("fetch");
        break;
      case "start": {
        const release = pending?.action === "install" ? pending.release : resident?.release;
        if (!release) throw this.violation("starts nothing");
        if (resident?.release.version !== release.version)
          this.set({ resident: { release, proven: false }, leaving: false });
        this.set({ retry: false, running: true });
        this.send("start");
        break;
      }
      case "drain":
        this.set({ drained: false });
        this.send("drain");
        break;
      case "undrain":
        this.set({ drained: false });
        this.send("undrain");
        break;
      case "fail":
        if (this.view.state !== "failed") this.send("fail");
        break;
      case "roll":
        this.set({ retry: false });
        break;
      case "stop":
      case "remove":
      case "clear":
        this.send(step);
        break;
    }
  }

  /** A stop on behalf of an order: what it ends does not come back by itself. */
  private noteLeaving(step: Step): void {
    const { pending, resident, shutdown } = this.view;
    const keeps = !pending || (pending.action === "install" && pending.release.version === resident?.release.version);
    if (step === "stop" && !shutdown && resident && !keeps) this.set({ leaving: true });
  }

  private fail(step: Step): void {
    this.noteLeaving(step);
    this.begin(step);
    if (step === "start") this.set({ running: false });
    const { state, pending } = this.view;
    if (state !== "serving" && state !== "draining" && transition(state, "fail") !== null) this.send("fail");
    if (pending && step !== "drain" && step !== "roll") this.set({ pending: null });
    this.retryLater =
      this.view.state === "failed" &&
      this.view.resident?.proven === true &&
      !this.view.pending &&
      !this.view.leaving &&
      !this.view.crashLooped;
  }

  private leave(step: Step): void {
    if (step === "fetch" || step === "start" || step === "drain" || step === "roll") this.begin(step);
    else this.perform(step);
  }

  private send(event: SlotEvent): void {
    const next = transition(this.view.state, event);
    if (next === null) throw this.violation(`needs ${event}, which ${this.view.state} does not know`);
    this.set({ state: next });
  }

  private set(change: Partial<SlotView>): void {
    this.view = { ...this.view, ...change };
  }

  private log(what: string): void {
    this.history.push(`${this.view.state}: ${what}`);
  }

  private violation(what: string): Error {
    return new Error(`it ${what}, after:\n${this.history.join("\n")}`);
  }
}
