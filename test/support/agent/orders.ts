import type { Release } from "../../../protocol/release.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { makeRelease } from "../release.ts";
import { until } from "../until.ts";
import type { Host } from "./host.ts";

/** Puts any text where a slot's order is. */
export function putOrder(host: Host, slot: string, text: string): Promise<number> {
  return host.put(buckets.orders, keys.order("web", host.name, slot), text);
}

/** Releases of the everyday app, one per version. */
export function appReleases(host: Host, ...versions: string[]): Promise<Release[]> {
  return Promise.all(versions.map((version) => makeRelease(host.archives, version, { app: "app.mjs" })));
}

/** What must not change while something else goes wrong: who serves, on which registration. */
export async function standing(host: Host, slot: string): Promise<unknown> {
  const { state, since, version, workers } = await host.slot(slot);
  return { state, since, version, workers, pids: await host.pids(slot), member: await host.member(slot) };
}

/** The lines of the agent's log that carry all of these facts. */
export function logged(host: Host, facts: Record<string, unknown>): Record<string, unknown>[] {
  const lines = host.log().split("\n");
  const parsed = lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Record<string, unknown>] : []));
  return parsed.filter((line) => Object.entries(facts).every(([key, value]) => line[key] === value));
}

/** Waits until the agent's log has as many lines with these facts. */
export function untilLogged(host: Host, facts: Record<string, unknown>, count = 1) {
  return until(`${count} lines with ${JSON.stringify(facts)}`, () => {
    const found = logged(host, facts);
    return found.length >= count && found;
  });
}
