import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Config } from "./config/schema.ts";
import { unitName } from "./os/unit.ts";
import { shutdownWithdrawMs } from "./slots/slot.ts";

const run = promisify(execFile);
const ASK_TIMEOUT_MS = 10_000;
/** What an end waits for after its slots have stopped: that the bus has stored that nothing serves here any more. */
export const withdrawnMs = 1_000;
/** Then for the last status and events, and for the bus's connection to be closed. */
export const farewellMs = 1_500;
const MARGIN_MS = 500;
/** What is waited for beside the configured times. */
const GOODBYE_MS = shutdownWithdrawMs + withdrawnMs + farewellMs + MARGIN_MS;

/** How long a stop of the agent may take by its configuration. The slots stop side by side. */
export function longestStopMs({ drain, app }: Pick<Config, "drain" | "app">): number {
  // Either the edges are waited for, or there is a pause.
  return Math.max(drain.pause_ms, drain.edges_timeout_ms) + drain.timeout_ms + app.stop_grace_ms + GOODBYE_MS;
}

/**
 * Compares that with the time that systemd gives the agent's unit. The agent asks for more while it drains
 * (EXTEND_TIMEOUT_USEC), but a host that is in a hurry to shut down may not grant it.
 * @returns what to tell an operator; null where it fits, or no unit is there.
 */
export async function checkStopTime(config: Pick<Config, "drain" | "app">): Promise<string | null> {
  const unit = unitName();
  if (unit === null) return null;
  const { stdout } = await run("systemctl", ["show", "--property=TimeoutStopUSec", "--value", unit], {
    timeout: ASK_TIMEOUT_MS,
  });
  const granted = timeSpanMs(stdout.trim());
  const needed = longestStopMs(config);
  if (granted === null || granted >= needed) return null;
  const sum = "the longer of drain.pause_ms and drain.edges_timeout_ms, drain.timeout_ms, app.stop_grace_ms";
  return (
    `a stop may take ${needed} ms (${sum}, and ${GOODBYE_MS}), but TimeoutStopSec of ${unit} is ${granted} ms; ` +
    `shorten those times, or raise it by systemctl edit ${unit}`
  );
}

const UNITS_MS: Record<string, number> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * A span as systemd writes it, for example `1min 30s`: systemd.time(7). Null for `infinity`, and for what is longer
 * than weeks.
 */
export function timeSpanMs(text: string): number | null {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([a-z]+)/g)];
  const values = parts.map(([, number, unit]) => Number(number) * (UNITS_MS[unit as string] ?? Number.NaN));
  const sum = values.reduce((all, value) => all + value, 0);
  return values.length === 0 || Number.isNaN(sum) ? null : sum;
}
