import type { Progress } from "../../../protocol/host-status.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes in a unit that needs at most four digits: `812 B`, `41.3 MiB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.min(100, Math.floor((part / whole) * 100));
}

/** `fetching 1.5.0: 12.4 MiB of 40.0 MiB (31%)`; the version is left out if it is the slot's own. */
export function progressText({ step, version, done, total, unit }: Progress, ownVersion: string | null): string {
  const subject = version === undefined || version === ownVersion ? step : `${step} ${version}`;
  const inUnit = (count: number) => (unit === "bytes" ? bytes(count) : `${count} ${unit}`);
  // How much there is may not be known yet.
  if (total === 0) return done === 0 ? subject : `${subject}: ${inUnit(done)}`;
  const part = unit === "bytes" ? bytes(done) : String(done);
  return `${subject}: ${part} of ${inUnit(total)} (${percent(done, total)}%)`;
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
