import Table from "cli-table3";
import type { DrainRecord } from "../../protocol/host-status.ts";
import type { TimelineColours } from "./draw-timeline.ts";
import type { Figures } from "./figures.ts";
import type { FleetOutcome } from "./story.ts";

const SHOWN_FAILURES = 8;

interface Row {
  what: string;
  of: (figures: Figures) => number;
  /** A higher value is shown in red. */
  most?: number;
}

const ROWS: readonly Row[] = [
  { what: "requests", of: ({ requests }) => requests },
  { what: "failed", of: ({ failed }) => failed, most: 0 },
  {
    what: "wrong version although the right one was served",
    of: ({ wrongVersion }) => wrongVersion,
    most: 0,
  },
  { what: "pages with an asset missing", of: ({ brokenPages }) => brokenPages, most: 0 },
  { what: "reloads of all users", of: ({ reloads }) => reloads },
  { what: "most reloads of a user in a deploy", of: ({ reloadsPerUserMax }) => reloadsPerUserMax, most: 1 },
  { what: "flip-flops: back to a version left before", of: ({ flipFlops }) => flipFlops, most: 0 },
];

/** The table at the end of the story. */
export function fleetOutcomeTable(outcome: FleetOutcome, colours: TimelineColours): string {
  const { oldWay, deploys, rollback } = outcome;
  const none = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
  const table = new Table({ style: { head: [], border: [] }, chars: none });
  const shown = (figures: Figures, { of, most }: Row) => {
    const value = of(figures);
    return most === undefined ? String(value) : (value > most ? colours.red : colours.green)(String(value));
  };
  const compared = "leftOut" in oldWay ? null : oldWay;
  const row = (what: string, ours: string, theirs: string) =>
    table.push(compared ? [what, ours, theirs] : [what, ours]);
  row("", `slotd, ${deploys.length} deploys`, "rolling restart, 1 deploy");
  for (const each of ROWS) row(each.what, shown(outcome, each), compared ? shown(compared, each) : "");
  for (const { version, seconds, reloads } of deploys)
    row(`deploy of ${version}`, `${seconds.toFixed(1)} s, ${reloads} reloads`, "");
  row("rollback", `${rollback.seconds.toFixed(1)} s`, "");
  row("drains that ended on evidence: acknowledged, then idle", drained(outcome, colours), "");
  const failures = Object.entries(outcome.failures).slice(0, SHOWN_FAILURES);
  return [table.toString(), ...failures.map(([kind, count]) => colours.red(`${count} × ${kind}`))].join("\n");
}

function drained({ drains }: FleetOutcome, colours: TimelineColours): string {
  const cut = drains.reduce((sum, { cutRequests }) => sum + cutRequests, 0);
  const text = `${drains.filter(isOnEvidence).length} of ${drains.length}, ${cut} requests cut`;
  return cut > 0 ? colours.red(text) : text;
}

/** Whether no timeout ended it. */
export function isOnEvidence({ edges, idle }: DrainRecord): boolean {
  return edges === "acked" && idle === "idle";
}
