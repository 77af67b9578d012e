import type { HostStatus, SlotStatus, WireError, WorkerEnd } from "../../../protocol/host-status.ts";
import { progressText } from "./amounts.ts";
import { drainText } from "./drain.ts";
import { age } from "./duration.ts";
import { oneLine } from "./text.ts";

/** A sentence below the table. `bad` needs action, `odd` needs attention, `plain` is for information. */
export interface Note {
  tone: "bad" | "odd" | "plain";
  /** The slot, or `-` for the host. */
  about: string;
  text: string;
}

/** Reasons for unexpected ends. */
const UNEXPECTED: readonly WorkerEnd["reason"][] = ["crashed", "lost", "oom", "hung", "unhealthy"];

/** What an operator should know about a host beyond the table. */
export function notes(status: HostStatus, now: number): Note[] {
  return [...hostNotes(status, now), ...Object.values(status.slots).flatMap((slot) => slotNotes(slot, now))];
}

function hostNotes({ bus, warnings, lastError }: HostStatus, now: number): Note[] {
  const found: Note[] = [];
  if (!bus.connected) {
    const why = bus.error ? ` (${oneLine(bus.error)})` : "";
    found.push({
      tone: "bad",
      about: "-",
      text: `bus down for ${age(bus.since, now)}, since ${bus.since}${why}: the slots keep serving, but orders and routes are from that time, and others see this host as it was then`,
    });
  }
  for (const warning of warnings) found.push({ tone: "odd", about: "-", text: oneLine(warning) });
  if (lastError) found.push({ tone: "bad", about: "-", text: `last error ${errorText(lastError, now)}` });
  return found;
}

function slotNotes(slot: SlotStatus, now: number): Note[] {
  const found: Note[] = [];
  const add = (tone: Note["tone"], text: string) => found.push({ tone, about: slot.slot, text });
  const { held, progress, lastError, refused, lastDrain, lastEnd, order } = slot;
  if (progress) add("odd", progressText(progress, slot.version));
  if (held) add("odd", `held: drained by an operator; slotctl undrain ${slot.slot} lets it serve again`);
  if (order?.error && !same(order.error, lastError) && !same(order.error, refused))
    add("bad", `order ${order.id} ${order.outcome} ${errorText(order.error, now)}`);
  if (lastError) add("bad", `last error ${errorText(lastError, now)}`);
  if (refused) add("bad", `refused order ${refused.orderId ?? "without an id"}: ${errorText(refused, now)}`);
  if (lastEnd && UNEXPECTED.includes(lastEnd.reason)) {
    const how = lastEnd.signal
      ? ` by ${lastEnd.signal}`
      : lastEnd.exitCode === null
        ? ""
        : ` with exit code ${lastEnd.exitCode}`;
    add("odd", `worker ${lastEnd.worker} (pid ${lastEnd.pid}) ${lastEnd.reason}${how}, ${age(lastEnd.at, now)} ago`);
  }
  if (lastDrain)
    add(
      lastDrain.cutRequests + (lastDrain.cutUpgraded ?? 0) > 0 ? "odd" : "plain",
      `last drain: ${drainText(lastDrain)}, ${age(lastDrain.startedAt, now)} ago`,
    );
  return found;
}

function errorText({ code, message, at }: WireError, now: number): string {
  return `${code}: ${oneLine(message)}${at ? ` (${age(at, now)} ago)` : ""}`;
}

function same(a: WireError, b: WireError | null): boolean {
  return b !== null && a.code === b.code;
}
