import type picocolors from "picocolors";
import { BUCKET_MS } from "../../test/support/users/users.ts";
import type { Bucket } from "./figures.ts";

export type TimelineColours = ReturnType<typeof picocolors.createColors>;

/** An event; `atMs` is by the system's clock. */
export interface TimelineMark {
  atMs: number;
  text: string;
}

const LEVELS = [..." ▁▂▃▄▅▆▇█"];
const PAINTS = ["cyan", "yellow", "green", "magenta", "blue"] as const;
const FAILED = "failed";

/**
 * Requests over time: a row for each version, a row of failures, and letters for events, which a legend explains.
 * @param width of the time axis, in characters
 * @returns lines
 */
export function drawTimeline(
  buckets: readonly Bucket[],
  marks: readonly TimelineMark[],
  width: number,
  colours: TimelineColours,
): string[] {
  const [first] = buckets;
  if (first === undefined) return ["no requests"];
  const perColumn = Math.ceil(buckets.length / width);
  const columns = chunks(buckets, perColumn);
  const versions = [...new Set(buckets.flatMap(({ byVersion }) => Object.keys(byVersion)))].sort(byNumber);
  const rows = versions.map((version) =>
    columns.map((column) => rate(column, ({ byVersion }) => byVersion[version] ?? 0)),
  );
  const failures = columns.map((column) => rate(column, ({ failed }) => failed));
  const most = Math.max(...rows.flat());
  const columnMs = perColumn * BUCKET_MS;
  const margin = Math.max(FAILED.length, ...versions.map(({ length }) => length)) + 2;
  const shown = marks.filter(({ atMs }) => atMs >= first.atMs).slice(0, 26);
  const letters = place(
    shown.map(({ atMs }) => Math.min(columns.length - 1, Math.floor((atMs - first.atMs) / columnMs))),
  );
  return [
    `requests per second by the version that answered; a column is ${columnMs / 1000} s, the highest ${Math.round(most)}/s`,
    ...versions.map((version, i) => {
      const paint = colours[PAINTS[i % PAINTS.length] as (typeof PAINTS)[number]];
      return `${version.padEnd(margin)}${paint((rows[i] as number[]).map((value) => bar(value, most)).join(""))}`.trimEnd();
    }),
    `${FAILED.padEnd(margin)}${failures.map((value) => (value > 0 ? colours.red("!") : "·")).join("")}`,
    ...letters.map((line) => `${"".padEnd(margin)}${line}`),
    ...shown.map(({ atMs, text }, i) => `${"".padEnd(margin)}${letter(i)} ${seconds(atMs - first.atMs)} s  ${text}`),
  ];
}

/** Lines with a letter at each of these columns. Letters of the same column go to different lines. */
function place(columns: readonly number[]): string[] {
  const lines: string[] = [];
  for (const [i, column] of columns.entries()) {
    const free = lines.findIndex((line) => line.length <= column);
    const line = (lines[free] ?? "").padEnd(column) + letter(i);
    if (free === -1) lines.push(line);
    else lines[free] = line;
  }
  return lines;
}

function bar(value: number, most: number): string {
  if (value === 0) return LEVELS[0] as string;
  return LEVELS[Math.max(1, Math.round((value / most) * (LEVELS.length - 1)))] as string;
}

function letter(i: number): string {
  return String.fromCharCode(97 + i);
}

/** The count of a column, per second. */
function rate(column: readonly Bucket[], count: (bucket: Bucket) => number): number {
  return column.reduce((sum, bucket) => sum + count(bucket), 0) / ((column.length * BUCKET_MS) / 1000);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1).padStart(5);
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

function byNumber(x: string, y: string): number {
  return x.localeCompare(y, "en", { numeric: true });
}
