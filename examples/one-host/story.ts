import { setTimeout as sleep } from "node:timers/promises";
import { Kvm } from "@nats-io/kv";
import Table from "cli-table3";
import pc from "picocolors";
import type { DrainRecord, SlotStatus } from "../../protocol/host-status.ts";
import { buckets } from "../../protocol/subjects.ts";
import { PATIENCE_MS, until } from "../../test/support/until.ts";
import type { Stage } from "./stage.ts";
import { type Tally, Visitors } from "./visitors.ts";

const VISITORS = 16;
/** How long the visitors are watched between the steps. */
const WATCH_MS = 2_000;

export interface Outcome extends Tally {
  pidsBefore: number[];
  pidsAfter: number[];
  registrationKept: boolean;
  drain: DrainRecord | null;
}

/** Takes the web app through three versions under load, and tells what happens. */
export async function tell(stage: Stage, say: (line: string) => void): Promise<Outcome> {
  const { host } = stage;
  const chapter = (title: string) => say(`\n${pc.bold(title)}`);

  chapter("1. Three versions of a web app are built and published to the bus");
  for (const version of ["1.0.0", "2.0.0", "3.0.0"]) say(`   ${await stage.publish(version)}`);

  chapter("2. A = 1.0.0 goes into slot a, B = 2.0.0 into slot b: each slot has half of the workers, and its own port");
  await stage.install("1.0.0", "a");
  await stage.install("2.0.0", "b");
  say(await stage.slotctl("status"));

  chapter(`3. ${VISITORS} visitors arrive, half of them on persistent connections; they find the app in the serverset`);
  const visitors = new Visitors(await new Kvm(await host.bus()).open(buckets.serversets), "web");
  await visitors.follow();
  await until("both versions are in the serverset", () => visitors.versions.length === 2);
  visitors.start(VISITORS);
  try {
    await sleep(WATCH_MS);
    say(`   after ${WATCH_MS / 1000} s: ${describe(visitors.tally)}`);

    const [pidsBefore, memberBefore] = [await host.pids("b"), await host.member("b")];
    chapter("4. C = 3.0.0 replaces A, which is withdrawn, drained, stopped and removed; B is not touched");
    await stage.install("3.0.0", "a");
    await until("the visitors use C", () => (visitors.tally.byVersion["3.0.0"] ?? 0) > 0);
    await sleep(WATCH_MS);
    say(await stage.slotctl("status"));
    const [pidsAfter, memberAfter] = [await host.pids("b"), await host.member("b")];

    chapter("5. The agent is killed (kill -9) and started again: the workers do not notice");
    await host.killAgent();
    await sleep(WATCH_MS / 4);
    await host.startAgent();
    const serves = (slot: SlotStatus) => slot.state === "serving" && slot.workers.ready === 2;
    await host.untilSlot("b", "serves again", serves, PATIENCE_MS);
    const pidsAtEnd = await host.pids("b");
    say(`   B's workers: ${pidsAtEnd.join(", ")}, taken over`);
    await sleep(WATCH_MS / 2);

    const tally = await visitors.stop();
    const { lastDrain } = await host.slot("a");
    return {
      ...tally,
      pidsBefore,
      pidsAfter: String(pidsAfter) === String(pidsAtEnd) ? pidsAfter : pidsAtEnd,
      registrationKept: JSON.stringify(memberBefore) === JSON.stringify(memberAfter),
      drain: lastDrain,
    };
  } finally {
    await visitors.stop();
  }
}

/** The table at the end of the story. */
export function outcomeTable(outcome: Outcome): string {
  const { drain } = outcome;
  const same = String(outcome.pidsBefore) === String(outcome.pidsAfter);
  const none = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
  const table = new Table({ style: { head: [], border: [] }, chars: none });
  table.push(
    ["requests", String(outcome.requests)],
    ["failed", outcome.failed === 0 ? pc.green("0") : pc.red(`${outcome.failed}\n${outcome.failures.join("\n")}`)],
    ...Object.entries(outcome.byVersion)
      .sort()
      .map(([version, count]) => [`answered by ${version}`, String(count)]),
    ["B's workers before", outcome.pidsBefore.join(", ")],
    ["B's workers after", `${outcome.pidsAfter.join(", ")}${same ? " (the same)" : pc.red(" (not the same)")}`],
    ["B's registration", outcome.registrationKept ? "untouched" : pc.red("changed")],
  );
  if (drain)
    table.push([
      `drain of ${drain.version}`,
      `${drain.durationMs} ms; edges: ${drain.edges}; requests: ${drain.idle}; cut: ${drain.cutRequests}`,
    ]);
  return table.toString();
}

/** Whether every claim held. */
export function succeeded(outcome: Outcome): boolean {
  return outcome.failed === 0 && outcome.registrationKept && String(outcome.pidsBefore) === String(outcome.pidsAfter);
}

function describe({ requests, failed, byVersion }: Tally): string {
  const parts = Object.entries(byVersion)
    .sort()
    .map(([version, count]) => `${count} by ${version}`);
  return `${requests} requests, ${failed} failed, ${parts.join(", ")}`;
}
