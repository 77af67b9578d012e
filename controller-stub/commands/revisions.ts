import type { Command } from "commander";
import { type Context, LeftOut, withBus } from "../context.ts";
import { revisionViews } from "../deploy/decisions/revision-views.ts";
import { serviceArgument } from "../deploy/deploy-options.ts";
import { showRecord } from "../deploy/run/records/deploy-record.ts";
import { fetchRoutes } from "../deploy/run/records/routes.ts";
import { revisionTable } from "../deploy/show/tables.ts";
import { fetchStatuses } from "../host-reports.ts";
import { requireService } from "../known-services.ts";

export function addRevisions(program: Command, context: Context): void {
  program
    .command("revisions")
    .summary("show which versions were deployed, and who uses them")
    .description(
      "Shows the versions that were deployed, newest first, then others that hosts hold: " +
        "hosts, workers, connections, and who deployed them, why and when.",
    )
    .addArgument(serviceArgument())
    .addHelpText("after", "\nExample:\n  slotd-controller revisions web")
    .action(async (service: string, _options, command: Command) => {
      const { output } = context;
      const leftOut = new LeftOut(output);
      const { note } = leftOut;
      const views = await withBus(context, command, async (bus) => {
        const [record, statuses, { routes }] = await Promise.all([
          showRecord(bus, service, note),
          fetchStatuses(bus, service, note),
          fetchRoutes(bus, service, note),
        ]);
        const found = revisionViews(record.revisions, statuses, routes);
        if (found.length === 0) await requireService(bus, service);
        return found;
      });
      output.object({ service, revisions: views, leftOut: leftOut.all });
      if (views.length === 0) output.line(`no version of ${service} was deployed, and no host holds one`);
      else output.lines(revisionTable(views, Date.now(), output.colours));
    });
}
