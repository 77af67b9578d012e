import { Command } from "commander";
import type { SlotStatus } from "../../../protocol/host-status.ts";
import type { ControlClient } from "../client.ts";
import { AgentError } from "../errors.ts";
import { poll } from "../follow/poll.ts";
import { pidsOf, restartVerdict } from "../follow/restart.ts";
import { SlotReporter } from "../follow/slot-reporter.ts";
import { slotLine } from "../render/slot-line.ts";
import type { SlotctlSession } from "../session.ts";
import { slotOf } from "../slot-of.ts";

const examples = `
Examples:
  slotctl restart a
  slotctl restart a --reason "new certificate"
  slotctl restart a --no-wait`;

export function restartCommand(session: SlotctlSession): Command {
  return new Command("restart")
    .description("replaces a slot's workers with new ones of the same version")
    .argument("<slot>")
    .option("--reason <reason>", "the reason, for the records")
    .option("--no-wait", "return at once; the restart continues")
    .addHelpText("after", examples)
    .action(async (slot: string, { reason, wait }: { reason?: string; wait: boolean }) => {
      const client = session.client();
      const before = slotOf(await client.status(), slot);
      const pidsBefore = pidsOf(slot, await client.workers());
      const begun = await client.steer(slot, "restart", { by: session.context.user, ...(reason && { reason }) });
      const end = wait ? await toTheEnd(session, client, before, pidsBefore, begun) : begun;
      if (session.json) session.printJson(end);
      else if (!wait) session.print(slotLine(end, session.colors));
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
  const reporter = new SlotReporter(session);
  let now: SlotStatus | undefined;
  let sawProgress = false;
  return poll(session.context.signal, `stopped waiting; the restart of slot ${slot} continues`, async () => {
    now = now ? slotOf(await client.status(), slot) : begun;
    sawProgress ||= now.progress !== null;
    reporter.report(now);
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
