import type { Command } from "commander";
import { type Context, LeftOut, withBus } from "../context.ts";
import { revisionViews } from "../deploy/decisions/revision-views.ts";
import { serviceArgument } from "../deploy/deploy-options.ts";
import { showRecord } from "../deploy/run/records/deploy-record.ts";
import { fetchRoutes } from "../deploy/run/records/routes.ts";
import { revisionTable } from "../deploy/show/tables.ts";
import { fetchStatuses } from "../host-reports.ts";

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
      const [record, statuses, { routes }] = await withBus(context, command, (bus) =>
        Promise.all([
          showRecord(bus, service, leftOut.note),
          fetchStatuses(bus, service, leftOut.note),
          fetchRoutes(bus, service, leftOut.note),
        ]),
      );
      const views = revisionViews(record.revisions, statuses, routes);
      output.object({ service, revisions: views, leftOut: leftOut.all });
      if (views.length === 0) output.line(`no version of ${service} was deployed, and no host holds one`);
      else output.lines(revisionTable(views, Date.now(), output.colours));
    });
}
