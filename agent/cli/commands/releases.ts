import { Command } from "commander";
import { releasesPage } from "../render/releases.ts";
import type { SlotctlSession } from "../session.ts";

const examples = `
Examples:
  slotctl releases
  slotctl releases --json | jq -r '.[] | select(.slots == []) | .version'`;

export function releasesCommand(session: SlotctlSession): Command {
  return new Command("releases")
    .description("shows the releases on this host: their users, sizes and shared bytes")
    .addHelpText("after", examples)
    .action(async () => {
      const releases = await session.client().releases();
      if (session.json) session.printJson(releases);
      else for (const line of releasesPage(releases, session.colors, Date.now())) session.print(line);
    });
}
