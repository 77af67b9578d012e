import { Command } from "commander";
import type { SlotStatus } from "../../../protocol/host-status.ts";
import type { ControlClient } from "../client.ts";
import { AgentError } from "../errors.ts";
import { poll } from "../follow/poll.ts";
import { pidsOf, restartVerdict } from "../follow/restart.ts";
import { Teller } from "../follow/teller.ts";
import { standing } from "../render/standing.ts";
import type { SlotctlSession } from "../session.ts";
import { slotOf } from "../slot-of.ts";

const examples = `
Examples:
  slotctl restart a
  slotctl restart a --reason "new certificate"
  slotctl restart a --no-wait`;

export function restartCommand(session: SlotctlSession): Command {
  return new Command("restart")
    .description("replaces a slot's workers by new ones of the same version")
    .argument("<slot>")
    .option("--reason <reason>", "why, for the records")
    .option("--no-wait", "return at once; the restart goes on")
    .addHelpText("after", examples)
    .action(async (slot: string, { reason, wait }: { reason?: string; wait: boolean }) => {
      const client = session.client();
      const before = slotOf(await client.status(), slot);
      const pidsBefore = pidsOf(slot, await client.workers());
      const begun = await client.steer(slot, "restart", { by: session.context.user, ...(reason && { reason }) });
      const end = wait ? await toTheEnd(session, client, before, pidsBefore, begun) : begun;
      if (session.json) session.printJson(end);
      else if (!wait) session.print(standing(end, session.colors));
    });
}

async function toTheEnd(
  session: SlotctlSession,
  client: ControlClient,
  before: SlotStatus,
  pidsBefore: number[],
  begun: SlotStatus,
): Promise<SlotStatus> {
  const { slot } = begun;
  const teller = new Teller(session);
  let now: SlotStatus | undefined;
  let sawProgress = false;
  return poll(session.context.signal, `the restart of slot ${slot} was not waited for and goes on`, async () => {
    now = now ? slotOf(await client.status(), slot) : begun;
    sawProgress ||= now.progress !== null;
    teller.tell(now);
    const pidsNow = pidsOf(slot, await client.workers());
    const verdict = restartVerdict({ before, now, pidsBefore, pidsNow, sawProgress });
    switch (verdict.is) {
      case "under way":
        return undefined;
      case "restarted":
        session.note(
          `${slot}  restarted ${now.version ?? ""}: ${now.workers.ready} of ${now.workers.wanted} workers ready`,
        );
        return now;
      case "failed":
        throw new AgentError(verdict.error);
      default:
        return verdict satisfies never;
    }
  });
}
