import type { Colors } from "picocolors/types.js";
import type { Event } from "../../../protocol/event.ts";
import { oneLine } from "./text.ts";

/** `2026-11-21T02:42:38Z  a  worker   worker 1 crashed  WORKERS_EXITED  order 7f…` */
export function eventLine({ at, slot, kind, message, code, orderId }: Event, colors: Colors): string {
  const paint = kind === "error" || code !== undefined ? colors.red : kind === "bus" ? colors.yellow : String;
  const order = orderId === undefined ? "" : colors.dim(`  order ${oneLine(orderId)}`);
  return [
    colors.dim(at.replace(/\.\d+Z$/, "Z")),
    colors.bold(oneLine(slot)),
    colors.cyan(kind.padEnd(7)),
    paint(code === undefined ? oneLine(message) : `${oneLine(code)}: ${oneLine(message)}`) + order,
  ].join("  ");
}
