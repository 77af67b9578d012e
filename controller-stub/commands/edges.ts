import type { Command } from "commander";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { type Context, withBus } from "../context.ts";
import { serviceArgument } from "../deploy/deploy-options.ts";
import { fetchRoutes } from "../deploy/run/records/routes.ts";
import { fetchEdges } from "../deploy/run/watch/followed-edges.ts";
import { edgeTable } from "../deploy/show/tables.ts";
import { ArgumentError } from "../errors.ts";
import { parseName } from "../options.ts";

export function addEdges(program: Command, context: Context): void {
  program
    .command("edges")
    .summary("show what each edge has applied")
    .description(
      "Shows what each edge has acknowledged. Deploys wait for an edge that is gone until " + "you forget it.",
    )
    .addArgument(serviceArgument())
    .option("--forget <edge>", "stop waiting for an edge that no longer routes anything", parseName)
    .addHelpText("after", "\nExamples:\n  slotd-controller edges web\n  slotd-controller edges web --forget edge-3")
    .action((service: string, { forget }: { forget?: string }, command: Command) =>
      withBus(context, command, (bus) =>
        forget === undefined ? show(context, bus, service) : forgetEdge(context, bus, service, forget),
      ),
    );
}

async function show({ output }: Context, bus: BusSession, service: string): Promise<void> {
  const [edges, routes] = await Promise.all([fetchEdges(bus, service), fetchRoutes(bus, service)]);
  output.object({ service, routes: routes.routes, revision: routes.revision, edges });
  if (edges.length === 0) output.line(`no edge of ${service} is known`);
  else output.line(edgeTable(edges, routes, Date.now(), output.colours));
}

async function forgetEdge({ output }: Context, bus: BusSession, service: string, edge: string): Promise<void> {
  const kv = await openBucket(bus, buckets.edges);
  const key = keys.edge(service, edge);
  const entry = await bus.persist(() => kv.get(key));
  if (entry === null || entry.operation !== "PUT")
    throw new ArgumentError("--forget", `${edge} is no edge of ${service}`);
  await bus.persist(() => kv.delete(key));
  output.object({ service, forgotten: edge });
  output.line(`${edge} is forgotten; if it still runs, it reports again within 5 s`);
}
