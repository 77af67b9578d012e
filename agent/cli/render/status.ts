import type { Colors } from "picocolors/types.js";
import type { HostStatus, SlotStatus } from "../../../protocol/host-status.ts";
import { age } from "./duration.ts";
import { type Note, notes } from "./notes.ts";
import { slotState } from "./state.ts";
import { table } from "./table.ts";
import { oneLine, shorten, wrap } from "./text.ts";

/** The page shows the age of a status older than this. */
const STALE_MS = 10_000;

/** The page of `slotctl status`. */
export function statusPage(status: HostStatus, now: number, colors: Colors, columns: number): string[] {
  const rows = Object.values(status.slots).map((slot) => row(slot, now, colors));
  const below = notes(status, now).flatMap((note) => noteLines(note, colors, columns));
  return [
    header(status, now, colors),
    "",
    ...table(colors, head, rows, ["PORT", "WORKERS", "FOR"]),
    ...(below.length > 0 ? ["", ...below] : []),
  ];
}

const head = ["SLOT", "STATE", "VERSION", "PORT", "WORKERS", "CONNECTIONS", "FOR", "ORDER"];

function header(status: HostStatus, now: number, colors: Colors): string {
  const { service, stage, host, agentVersion, pid, startedAt, observedAt, bus } = status;
  const where = bus.server ? ` ${oneLine(bus.server)}` : "";
  const busText = bus.connected ? `bus ${colors.green("connected")}${where}` : `bus ${colors.red("down")}${where}`;
  const stale = now - Date.parse(observedAt) > STALE_MS ? [colors.yellow(`as of ${age(observedAt, now)} ago`)] : [];
  return [
    `${colors.bold(service)} ${stage}`,
    `host ${host}`,
    `slotd ${agentVersion} (pid ${pid}, up ${age(startedAt, now)})`,
    busText,
    ...stale,
  ].join(colors.dim(" · "));
}

function row(slot: SlotStatus, now: number, colors: Colors): string[] {
  const { workers, connections, order } = slot;
  const ready = `${workers.ready}/${workers.wanted}`;
  const short = slot.state === "serving" && workers.ready < workers.wanted;
  return [
    colors.bold(slot.slot),
    slotState(colors, slot.state) + (slot.held ? colors.yellow(" (held)") : ""),
    slot.version === null ? "-" : shorten(slot.version, 28),
    String(slot.port),
    short ? colors.red(ready) : ready,
    connections === null ? "-" : `${connections.open} (${connections.inFlight} in flight)`,
    age(slot.since, now),
    order === null ? "-" : `${shorten(order.id, 13)} ${order.action} ${outcome(order.outcome, colors)}`,
  ];
}

function outcome(word: NonNullable<SlotStatus["order"]>["outcome"], colors: Colors): string {
  if (word === "failed" || word === "refused") return colors.red(word);
  return word === "done" ? word : colors.yellow(word);
}

const marks = { bad: "✗", odd: "!", plain: "·" } as const;

function noteLines({ tone, about, text }: Note, colors: Colors, columns: number): string[] {
  const paint = tone === "bad" ? colors.red : tone === "odd" ? colors.yellow : colors.dim;
  const lead = about === "-" ? "" : `${about}  `;
  const [first = "", ...rest] = wrap(`${lead}${text}`, Math.max(40, columns - 2), lead.length);
  return [`${paint(marks[tone])} ${first}`, ...rest.map((line) => `  ${line}`)];
}
