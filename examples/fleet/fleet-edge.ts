import type { VersionNaming } from "../../edge/table/table.ts";
import { Edge } from "../../test/support/edge.ts";
import { Haproxy } from "../../test/support/proxies/haproxy.ts";
import { Varnish } from "../../test/support/proxies/varnish.ts";
import { PATIENCE_MS } from "../../test/support/until.ts";

/** How requests of the web app name their version: its calls by the header, its page's assets by the query. */
const NAMING: VersionNaming = { header: "X-App-Version", query: "v", cookie: null };
const TITLES = { varnish: "Varnish", haproxy: "HAProxy" } as const;
const PROXIES = { varnish: Varnish, haproxy: Haproxy } as const;

type Kind = keyof typeof PROXIES;

/** An edge with its proxy, connected to the bus. */
export interface FleetEdge {
  name: string;
  kind: Kind | "builtin";
  url: string;
  /** Its kind, for people. */
  about: string;
  configFile: string;
}

/**
 * Starts an edge with a proxy of that kind or, where that can't be started here, with the router built into slotd-edge.
 * @param onUndo is called with a function that ends what was started, as soon as there is something to end
 */
export async function startEdge(
  nats: string,
  name: string,
  wanted: Kind,
  onUndo: (undo: () => Promise<unknown>) => void,
): Promise<FleetEdge> {
  const proxy = await PROXIES[wanted].start({ naming: NAMING }).catch((error: Error) => error);
  const isThere = !(proxy instanceof Error);
  if (isThere) onUndo(() => proxy.stop());
  const { header, query } = NAMING;
  const edge = await Edge.create({
    ...{ nats, name, settings: { naming: { header, query } } },
    ...(isThere && { url: proxy.url, proxy: proxy.config }),
  });
  onUndo(() => edge.close());
  await edge.begin();
  await edge.untilStatus("it is on the bus", () => true, PATIENCE_MS);
  return {
    ...{ name, url: edge.url, configFile: edge.configFile },
    kind: isThere ? wanted : "builtin",
    about: isThere
      ? TITLES[wanted]
      : `the builtin router, since ${TITLES[wanted]} does not start here (${lastLine(proxy)})`,
  };
}

function lastLine({ message }: Error): string {
  return message.trim().split("\n").at(-1)?.slice(0, 120) ?? "";
}
