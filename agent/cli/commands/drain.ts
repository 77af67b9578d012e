import { Command } from "commander";
import { DrainCancelledError, SlotStateError } from "../../../protocol/errors.ts";
import type { SlotStatus } from "../../../protocol/host-status.ts";
import type { ControlClient } from "../client.ts";
import { drainVerdict } from "../follow/drain.ts";
import { poll } from "../follow/poll.ts";
import { SlotReporter } from "../follow/slot-reporter.ts";
import { drainText } from "../render/drain.ts";
import { slotLine } from "../render/slot-line.ts";
import type { SlotctlSession } from "../session.ts";
import { slotOf } from "../slot-of.ts";

const examples = `
Withdraws the slot's version from the serverset, then waits for the edges and for requests in flight. The workers keep running,
and the slot is held until slotctl undrain or the next order. Ctrl-C leaves the command, but does not stop the drain. A version
that is still routed to is drained, too, with a note; only orders are refused for that reason.

Examples:
  slotctl drain a
  slotctl drain a --reason "looking at a memory leak"
  slotctl drain a --no-wait`;

export function drainCommand(session: SlotctlSession): Command {
  return new Command("drain")
    .description("takes a slot's version out of use until undrain")
    .argument("<slot>")
    .option("--reason <reason>", "the reason, for the records")
    .option("--no-wait", "return at once; the drain continues")
    .addHelpText("after", examples)
    .action(async (slot: string, { reason, wait }: { reason?: string; wait: boolean }) => {
      const client = session.client();
      const before = slotOf(await client.status(), slot);
      if (before.routedBy)
        session.note(
          `${slot}  ${before.version} is routed to by ${before.routedBy}: if no other host serves it, its requests will fail or go to another version`,
        );
      const begun = await client.steer(slot, "drain", { by: session.context.user, ...(reason && { reason }) });
      const end = wait ? await toTheEnd(session, client, before, begun) : begun;
      if (session.json) session.printJson(end);
      else if (!wait) session.print(slotLine(end, session.colors));
    });
}

async function toTheEnd(
  session: SlotctlSession,
  client: ControlClient,
  before: SlotStatus,
  begun: SlotStatus,
): Promise<SlotStatus> {
  const { slot, version } = begun;
  const left = `stopped waiting; the drain of slot ${slot} continues, and slotctl undrain ${slot} reverses it`;
  const reporter = new SlotReporter(session);
  let now: SlotStatus | undefined;
  return poll(session.context.signal, left, async () => {
    now = now ? slotOf(await client.status(), slot) : begun;
    reporter.report(now);
    const verdict = drainVerdict(before, now);
    switch (verdict.is) {
      case "under way":
        return undefined;
      case "drained":
        session.note(
          `${slot}  drained${verdict.record ? ` ${drainText(verdict.record)}` : ""}; held until slotctl undrain ${slot}`,
        );
        return now;
      case "cancelled":
        throw new DrainCancelledError(version ?? `slot ${slot}`);
      case "moved on":
        throw new SlotStateError(
          slot,
          now.state,
          "hold",
          "an order or a failure interrupted the drain; see slotctl events",
        );
      default:
        return verdict satisfies never;
    }
  });
}
