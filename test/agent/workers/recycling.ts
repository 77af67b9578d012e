import { leftProcesses } from "../../support/agent/host.ts";
import type { Hosts } from "../../support/agent/hosts.ts";
import { until } from "../../support/until.ts";
import { OrderedHost } from "./ordered-host.ts";

/** A slot with two workers; the next ones come up only when they are let. */
export async function heldWorkers(hosts: Hosts, settings: object = {}, nodeOptions: string[] = []) {
  const readiness = { by: "notify", timeout_ms: 10_000 };
  const ordered = await OrderedHost.start(hosts, "tells.py", { readiness, ...settings }, {}, nodeOptions);
  ordered.order("ready");
  const release = await ordered.installed("a", "1");
  ordered.takeBack("ready");
  return { ordered, host: ordered.host, release, pids: await ordered.pids() };
}

/** The same in the middle of a replacement: the next worker runs, and is not ready yet. */
export async function recyclingWorkers(hosts: Hosts, worker = 0) {
  const all = await heldWorkers(hosts);
  await all.ordered.say(worker, "X_SLOTD_RECYCLE=1");
  await until("the next one runs", () => leftProcesses(all.host.state).length === 3);
  return all;
}
