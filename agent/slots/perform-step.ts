import { type Order, orderVersion } from "../../protocol/order.ts";
import type { Step } from "./decide.ts";
import type { DrainBounds, SlotRuntime } from "./slot-runtime.ts";

/** Steps that can be interrupted when something else is wanted. */
export const INTERRUPTIBLE: readonly Step[] = ["fetch", "start", "drain", "roll"];

export interface StepContext {
  runtime: SlotRuntime;
  /** The order under way. */
  pending: Order | null;
  drainBounds: DrainBounds;
  signal: AbortSignal;
  /** Records that the order has reached its goal. */
  onSettled(order: Order): void;
}

/** Performs a step that `decide` chose. @throws what went wrong, or the signal's reason */
export async function performStep(step: NonNullable<Step>, context: StepContext): Promise<void> {
  const { runtime, pending, drainBounds, signal } = context;
  const install = pending?.action === "install" ? pending : null;
  const release = install?.release ?? runtime.resident?.release;
  switch (step) {
    case "fetch":
      if (release) await runtime.fetch(release, signal);
      return;
    case "start":
      if (release) await runtime.start(release, install ?? {}, signal);
      return;
    case "roll":
      return runtime.roll(signal);
    case "drain":
      return runtime.drain(drainBounds, signal);
    case "undrain":
      return runtime.undrain();
    case "stop":
      return runtime.stop(drainBounds.forced === undefined ? signal : AbortSignal.abort());
    case "fail":
      return runtime.fail();
    case "remove":
      return runtime.remove();
    case "settle":
      if (install && runtime.resident) await runtime.adjust(install);
      else if (!runtime.resident) runtime.clear();
      await runtime.settle();
      if (pending) context.onSettled(pending);
      return;
    case "clear":
      return runtime.clear();
    default:
      return step satisfies never;
  }
}

/** Whether a version stays in its slot under the order that is under way; without one it does. */
export function keepsVersion(order: Order | null, version: string): boolean {
  return !order || (order.action === "install" && orderVersion(order) === version);
}
