import { type Command, createArgument } from "commander";
import { listenToKeys } from "../../bus/listen.ts";
import type { BusSession } from "../../bus/session.ts";
import type { Deploy } from "../../protocol/deploy.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import { terminalLine } from "../../protocol/terminal-text.ts";
import { type Context, globalOptions, LeftOut, withBus } from "../context.ts";
import { lostRoutes } from "../deploy/decisions/lost-routes.ts";
import type { KnownEdge } from "../deploy/decisions/missing-edges.ts";
import type { StoredRoutes } from "../deploy/decisions/next-routes.ts";
import { showRecord } from "../deploy/run/records/deploy-record.ts";
import { fetchRoutes } from "../deploy/run/records/routes.ts";
import { FollowedEdges, fetchEdges } from "../deploy/run/watch/followed-edges.ts";
import { lostRoutesText } from "../deploy/show/lost-routes.ts";
import { deployLines, edgeTable, routesLine } from "../deploy/show/tables.ts";
import { fetchStatuses, followStatuses } from "../host-reports.ts";
import { isStale } from "../hosts.ts";
import { requireService } from "../known-services.ts";
import { lastingFor } from "../lasting.ts";
import { parseName } from "../options.ts";
import { statusTable } from "../terminal/render.ts";

const REDRAW_MS = 1000;

interface Picture {
  service: string;
  hosts: HostStatus[];
  edges: KnownEdge[];
  routes: StoredRoutes;
  record: Deploy;
  leftOut: LeftOut;
}

export function addStatus(program: Command, context: Context): void {
  program
    .command("status")
    .summary("show what each slot of each host holds, the routes, the edges and the deploy")
    .description(
      "Shows what each slot of each host holds, the routes, what each edge has applied, " +
        "and the step of the last deploy. A status older than 15 s is marked as stale.",
    )
    .addArgument(createArgument("<service>", "application").argParser(parseName))
    .option("--watch", "refresh every second, until interrupted or --timeout is over")
    .addHelpText(
      "after",
      "\nExamples:\n  slotd-controller status web\n  slotd-controller status web --json | jq .stale",
    )
    .action((service: string, options: { watch?: boolean }, command: Command) =>
      options.watch ? watchStatus(context, command, service) : status(context, command, service),
    );
}

async function status(context: Context, command: Command, service: string): Promise<void> {
  const leftOut = new LeftOut(context.output);
  const picture = await withBus(context, command, async (bus) => {
    const [hosts, edges, deploy] = await Promise.all([
      fetchStatuses(bus, service, leftOut.note),
      fetchEdges(bus, service, leftOut.note),
      readDeployment(bus, service, leftOut),
    ]);
    if (hosts.length + edges.length === 0) await requireService(bus, service);
    return { service, hosts, edges, ...deploy, leftOut };
  });
  show(context, picture, (text) => context.output.lines(text));
}

async function readDeployment(
  bus: BusSession,
  service: string,
  { note }: LeftOut,
): Promise<Pick<Picture, "routes" | "record">> {
  const [routes, record] = await Promise.all([fetchRoutes(bus, service, note), showRecord(bus, service, note)]);
  return { routes, record };
}

async function watchStatus(context: Context, command: Command, service: string): Promise<void> {
  await withBus(context, command, async (bus) => {
    const leftOut = new LeftOut(context.output);
    const byHost = new Map<string, HostStatus>();
    const hear = (status: HostStatus) => byHost.set(status.host, status);
    const stop = await followStatuses(bus, service, hear, leftOut.note);
    const edges = await FollowedEdges.follow(bus, service, leftOut.note);
    let deploy = await readDeployment(bus, service, leftOut);
    // Routes and the record are written by compare-and-set, so a put that is heard may have been refused.
    const read = () => {
      readDeployment(bus, service, leftOut).then(
        (now) => {
          deploy = now;
        },
        () => {},
      );
    };
    const hints = [
      listenToKeys(bus.nc, buckets.routes, keys.routes(service), { onPut: read }),
      listenToKeys(bus.nc, buckets.deploys, keys.deploy(service), { onPut: read }),
    ];
    const draw = () => {
      const hosts = [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
      const picture = { service, hosts, edges: edges.all, ...deploy, leftOut };
      show(context, picture, (text) => context.output.redraw(text));
    };
    draw();
    const timer = setInterval(draw, REDRAW_MS);
    try {
      await lastingFor(bus, globalOptions(command).timeout);
    } finally {
      clearInterval(timer);
      for (const unlisten of hints) unlisten();
      edges.stop();
      stop();
    }
  });
}

function show(
  { output }: Context,
  { service, hosts, edges, routes, record, leftOut }: Picture,
  draw: (text: string) => void,
): void {
  const now = Date.now();
  const stale = hosts.filter((each) => isStale(each, now)).map((each) => each.host);
  const { deploy, lock } = record;
  const lost = routes.isMalformed ? null : lostRoutes({ routes: routes.routes, statuses: hosts, edges, record });
  if (output.json) {
    const at = new Date(now).toISOString();
    output.object({
      service,
      at,
      hosts,
      stale,
      routes: routes.routes,
      routesRevision: routes.revision,
      lostRoutes: lost,
      edges,
      deploy,
      lock,
      leftOut: leftOut.all,
    });
    return;
  }
  const table =
    hosts.length === 0 ? `no host of ${service} has reported in the last day` : statusTable(hosts, now, output.colours);
  const styles = { keepStyles: output.colours.isColorSupported };
  const about = [
    ...(routes.routes ? [routesLine(routes)] : []),
    ...(lost ? [output.colours.red(lostRoutesText(service, lost))] : []),
    ...(deploy ? deployLines(deploy, lock?.holder ?? null, output.colours) : []),
  ];
  const parts = [
    table,
    edges.length > 0 ? edgeTable(edges, routes, now, output.colours) : "",
    about.map((line) => terminalLine(line, styles)).join("\n"),
  ];
  draw(parts.filter((part) => part !== "").join("\n\n"));
}
