import { Command } from "commander";
import { DrainCancelledError, SlotStateError } from "../../../protocol/errors.ts";
import type { SlotStatus } from "../../../protocol/host-status.ts";
import type { ControlClient } from "../client.ts";
import { drainVerdict } from "../follow/drain.ts";
import { poll } from "../follow/poll.ts";
import { Teller } from "../follow/teller.ts";
import { drainText } from "../render/drain.ts";
import { standing } from "../render/standing.ts";
import type { SlotctlSession } from "../session.ts";
import { slotOf } from "../slot-of.ts";

const examples = `
The slot's version is withdrawn from the serverset; then the edges and the requests in flight are waited for. The workers
run on, and the slot is held until slotctl undrain, or until an order takes it on. Leaving with Ctrl-C does not end the drain.
A version that is routed to is drained all the same, with a word about it: only orders are refused for that.

Examples:
  slotctl drain a
  slotctl drain a --reason "looking at a memory leak"
  slotctl drain a --no-wait`;

export function drainCommand(session: SlotctlSession): Command {
  return new Command("drain")
    .description("takes a slot's version out of use, and holds it so")
    .argument("<slot>")
    .option("--reason <reason>", "why, for the records")
    .option("--no-wait", "return at once; the drain goes on")
    .addHelpText("after", examples)
    .action(async (slot: string, { reason, wait }: { reason?: string; wait: boolean }) => {
      const client = session.client();
      const before = slotOf(await client.status(), slot);
      if (before.routedBy)
        session.note(
          `${slot}  ${before.version} is routed to by ${before.routedBy}: where no other host serves it, its requests will fail or go to another version`,
        );
      const begun = await client.steer(slot, "drain", { by: session.context.user, ...(reason && { reason }) });
      const end = wait ? await toTheEnd(session, client, before, begun) : begun;
      if (session.json) session.printJson(end);
      else if (!wait) session.print(standing(end, session.colors));
    });
}

async function toTheEnd(
  session: SlotctlSession,
  client: ControlClient,
  before: SlotStatus,
  begun: SlotStatus,
): Promise<SlotStatus> {
  const { slot, version } = begun;
  const left = `the drain of slot ${slot} was not waited for and goes on; slotctl undrain ${slot} takes it back`;
  const teller = new Teller(session);
  let now: SlotStatus | undefined;
  return poll(session.context.signal, left, async () => {
    now = now ? slotOf(await client.status(), slot) : begun;
    teller.tell(now);
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
        throw new SlotStateError(slot, now.state, "hold", "an order or a failure came between; look at slotctl events");
      default:
        return verdict satisfies never;
    }
  });
}
