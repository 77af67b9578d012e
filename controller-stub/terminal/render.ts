import type { HostStatus, Progress, SlotStatus } from "../../protocol/host-status.ts";
import { isStale, reportAgeMs } from "../hosts.ts";
import type { Colours } from "./colours.ts";
import type { HostChange } from "./host-changes.ts";
import { formatColumns } from "./table.ts";

const HEAD = ["HOST", "SLOT", "STATE", "VERSION", "PORT", "READY", "CONNS", "ORDER", "AGE"];

/** Hosts by slots, one row each. */
export function statusTable(statuses: readonly HostStatus[], now: number, colours: Colours): string {
  const all = statuses.flatMap((status) => rows(status, now, colours));
  return formatColumns(HEAD, all, colours);
}

function rows(status: HostStatus, now: number, colours: Colours): string[][] {
  const age = formatAge(reportAgeMs(status, now));
  const seen = isStale(status, now) ? colours.red(`${age} stale`) : age;
  const slots = Object.values(status.slots).sort((a, b) => (a.slot < b.slot ? -1 : 1));
  if (slots.length === 0) return [[status.host, "-", "-", "-", "-", "-", "-", "-", seen]];
  return slots.map((slot) => [
    status.host,
    slot.slot,
    stateCell(slot, colours),
    slot.version ?? "-",
    String(slot.port),
    `${slot.workers.ready}/${slot.workers.wanted}`,
    slot.connections ? `${slot.connections.open} (${slot.connections.inFlight} busy)` : "-",
    orderCell(slot, colours),
    seen,
  ]);
}

function stateCell(slot: SlotStatus, colours: Colours): string {
  const state = paintState(slot.state, colours);
  return [state, slot.held ? "held" : "", slot.progress ? formatProgress(slot.progress) : ""].filter(Boolean).join(" ");
}

function orderCell(slot: SlotStatus, colours: Colours): string {
  const { order, refused } = slot;
  const outcome = order ? `${paintOutcome(order.outcome, colours)}${order.error ? ` ${order.error.code}` : ""}` : "-";
  return refused ? `${outcome}, ${colours.red("refused")} ${refused.code}` : outcome;
}

/** One line for a change, as `watch` prints it. */
export function changeLine(change: HostChange, colours: Colours): string {
  const { at, host, slot, kind, state, version, progress, outcome, orderId, error } = change;
  const what = {
    state: () => paintState(state, colours),
    progress: () => (progress ? formatProgress(progress) : ""),
    outcome: () => `order ${orderId}: ${paintOutcome(outcome ?? "", colours)}`,
    refused: () => `order ${orderId ?? "(without an id)"}: ${colours.red("refused")}`,
  }[kind]();
  const why = error ? ` ${error.code}: ${error.message}` : "";
  return `${colours.dim(at.slice(11, 19))} ${host} ${slot} ${version ?? "-"} ${what}${why}`;
}

function paintState(state: SlotStatus["state"], colours: Colours): string {
  if (state === "serving") return colours.green(state);
  if (state === "failed") return colours.red(state);
  return state === "empty" ? state : colours.yellow(state);
}

function paintOutcome(outcome: string, colours: Colours): string {
  if (outcome === "done") return colours.green(outcome);
  return outcome === "pending" ? colours.yellow(outcome) : colours.red(outcome);
}

function formatProgress({ step, done, total, unit }: Progress): string {
  const inUnit = (count: number) => (unit === "bytes" ? formatBytes(count) : `${count} ${unit}`);
  // Not every step knows from the beginning how much there is to do.
  if (total === 0) return done === 0 ? step : `${step} (${inUnit(done)})`;
  const part = unit === "bytes" ? formatBytes(done) : done;
  return `${step} ${Math.floor((100 * done) / total)}% (${part} of ${inUnit(total)})`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}

export function formatAge(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return `${Math.floor(seconds / 3600)}h`;
}
