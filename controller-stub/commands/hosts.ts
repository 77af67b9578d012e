import type { Command } from "commander";
import { type Context, LeftOut, withBus } from "../context.ts";
import { serviceArgument } from "../deploy/deploy-options.ts";
import { fetchRoutes } from "../deploy/run/records/routes.ts";
import { hostTable } from "../deploy/show/tables.ts";
import { fetchStatuses } from "../host-reports.ts";
import { isStale } from "../hosts.ts";
import { requireService } from "../known-services.ts";

export function addHosts(program: Command, context: Context): void {
  program
    .command("hosts")
    .summary("show the hosts, and which served versions they lack")
    .description(
      "Shows a line per host: stage, versions, the served versions that it lacks, agent, " + "load, age of its report.",
    )
    .addArgument(serviceArgument())
    .addHelpText("after", "\nExample:\n  slotd-controller hosts web --json | jq -r '.hosts[].host'")
    .action(async (service: string, _options, command: Command) => {
      const { output } = context;
      const leftOut = new LeftOut(output);
      const { note } = leftOut;
      const [statuses, { routes }] = await withBus(context, command, async (bus) => {
        const read = await Promise.all([fetchStatuses(bus, service, note), fetchRoutes(bus, service, note)]);
        if (read[0].length === 0) await requireService(bus, service);
        return read;
      });
      const now = Date.now();
      const brief = statuses.map((status) => ({
        ...{ host: status.host, stage: status.stage, agentVersion: status.agentVersion, observedAt: status.observedAt },
        stale: isStale(status, now),
        versions: Object.fromEntries(Object.values(status.slots).map(({ slot, version }) => [slot, version])),
        warnings: status.warnings,
      }));
      output.object({ service, hosts: brief, leftOut: leftOut.all });
      if (statuses.length === 0) output.line(`no host of ${service} has reported in the last day`);
      else output.lines(hostTable(statuses, routes, now, output.colours));
    });
}
