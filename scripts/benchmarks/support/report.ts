import { round } from "./statistics.ts";

export type Op = ">=" | ">" | "<=" | "<" | "=";

export interface Target {
  name: string;
  value: number;
  op: Op;
  target: number;
  met: boolean;
}

export type Figures = Record<string, number | string>;

/** What a benchmark found: figures with names, and some of them held against targets. */
export class Report {
  readonly figures: Figures = {};
  readonly targets: Target[] = [];

  constructor(readonly bench: string) {}

  figure(name: string, value: number | string): void {
    this.figures[name] = typeof value === "number" ? round(value, 4) : value;
  }

  target(name: string, value: number, op: Op, target: number): void {
    this.targets.push({ name, value: round(value, 4), op, target: round(target, 4), met: holds(value, op, target) });
  }

  get met(): boolean {
    return this.targets.every((target) => target.met);
  }

  /** The one line for programs. */
  toJson(): string {
    const { bench, figures, targets, met } = this;
    return JSON.stringify({ bench, figures, targets, met });
  }

  /** The same for people. */
  toText(): string {
    const rows = this.targets.map(({ name, value, op, target, met }) => [
      met ? "met" : "MISSED",
      name,
      String(value),
      `${op} ${target}`,
    ]);
    return `\n${table(["", "target", "measured", "wanted"], rows)}`;
  }
}

function holds(value: number, op: Op, target: number): boolean {
  switch (op) {
    case ">=":
      return value >= target;
    case ">":
      return value > target;
    case "<=":
      return value <= target;
    case "<":
      return value < target;
    case "=":
      return value === target;
    default:
      return op satisfies never;
  }
}

/** Columns in line; those that hold numbers are set to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? "").length)));
  const right = head.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^[\d.,-]*( ?(ms|MB|%|s))?$/.test(row[i] ?? "")),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (right[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
