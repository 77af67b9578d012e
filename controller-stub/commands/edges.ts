import { type Command, InvalidArgumentError } from "commander";
import { openBucket } from "../../bus/buckets.ts";
import { readValues } from "../../bus/list-bucket.ts";
import { removeKey } from "../../bus/remove-key.ts";
import { isConflict } from "../../bus/retry.ts";
import type { BusSession } from "../../bus/session.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { type Context, LeftOut, withBus } from "../context.ts";
import { lostRoutes } from "../deploy/decisions/lost-routes.ts";
import { serviceArgument } from "../deploy/deploy-options.ts";
import { showRecord } from "../deploy/run/records/deploy-record.ts";
import { fetchRoutes } from "../deploy/run/records/routes.ts";
import { fetchEdges } from "../deploy/run/watch/followed-edges.ts";
import { lostRoutesText } from "../deploy/show/lost-routes.ts";
import { edgeTable } from "../deploy/show/tables.ts";
import { ArgumentError } from "../errors.ts";
import { fetchStatuses } from "../host-reports.ts";
import { requireService } from "../known-services.ts";

export function addEdges(program: Command, context: Context): void {
  program
    .command("edges")
    .summary("show what each edge has applied")
    .description(
      "Shows what each edge has acknowledged. Deploys wait for an edge that is gone until " + "you forget it.",
    )
    .addArgument(serviceArgument())
    .option("--forget <edge>", "stop waiting for an edge that no longer routes anything", parseKeyPart)
    .addHelpText("after", "\nExamples:\n  slotd-controller edges web\n  slotd-controller edges web --forget edge-3")
    .action((service: string, { forget }: { forget?: string }, command: Command) =>
      withBus(context, command, (bus) =>
        forget === undefined ? show(context, bus, service) : forgetEdge(context, bus, service, forget),
      ),
    );
}

/** Any key may stand in the bucket, also one that no edge would have. */
function parseKeyPart(text: string): string {
  if (/^[^\s*>\p{Cc}]{1,255}$/u.test(text) && !/^\.|\.$|\.\./.test(text)) return text;
  throw new InvalidArgumentError("It must be the name of an edge, or the rest of a key behind the service.");
}

async function show({ output }: Context, bus: BusSession, service: string): Promise<void> {
  const leftOut = new LeftOut(output);
  const { note } = leftOut;
  const [edges, routes, statuses, record] = await Promise.all([
    fetchEdges(bus, service, note),
    fetchRoutes(bus, service, note),
    fetchStatuses(bus, service, note),
    showRecord(bus, service, note),
  ]);
  if (edges.length === 0) await requireService(bus, service);
  const lost = routes.isMalformed ? null : lostRoutes({ routes: routes.routes, statuses, edges, record });
  output.object({
    ...{ service, routes: routes.routes, revision: routes.revision, lostRoutes: lost, edges, leftOut: leftOut.all },
  });
  if (lost !== null) output.warn(lostRoutesText(service, lost));
  if (edges.length === 0) output.line(`no edge of ${service} is known`);
  else output.lines(edgeTable(edges, routes, Date.now(), output.colours));
}

async function forgetEdge({ output }: Context, bus: BusSession, service: string, edge: string): Promise<void> {
  const kv = await openBucket(bus, buckets.edges);
  const key = keys.edge(service, edge);
  const entry = (await readValues(bus, kv, keys.edge(service, ">"))).find((each) => each.key === key);
  if (entry === undefined) throw new ArgumentError("--forget", `${edge} is no edge of ${service}`);
  // Its next report is of a later revision: then it is not gone.
  await removeKey(bus, buckets.edges, key, entry.revision).catch((error) => {
    if (!isConflict(error)) throw error;
  });
  output.object({ service, forgotten: edge });
  output.line(`${edge} is forgotten; if it still runs, it reports again within 5 s`);
}
