import { Kvm, type KvWatchEntry } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Routes, routesSchema } from "../../protocol/routes.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Stored } from "../../scripts/benchmarks/support/deploy/bus-record.ts";
import type { TimelineMark } from "./draw-timeline.ts";

/** Every change of a service's routes, with its time by the bus's clock, for as long as the connection lasts. */
export class RoutesLog {
  readonly changes: Stored<Routes>[] = [];

  static async follow(nc: NatsConnection, service: string): Promise<RoutesLog> {
    const log = new RoutesLog();
    const kv = await new Kvm(nc).open(buckets.routes);
    void log.record(await kv.watch({ key: keys.routes(service) }));
    return log;
  }

  private async record(watch: AsyncIterable<KvWatchEntry>): Promise<void> {
    for await (const entry of watch) {
      if (entry.operation !== "PUT") continue;
      const { created, revision } = entry;
      this.changes.push({ atMs: created.getTime(), revision, value: routesSchema.parse(entry.json()) });
    }
  }
}

/** Each change as a sentence, with its time. */
export function inWords(changes: readonly Pick<Stored<Routes>, "atMs" | "value">[]): TimelineMark[] {
  return changes.flatMap(({ atMs, value: { default: first, serving } }, i) => {
    const before = changes[i - 1]?.value;
    const left = before?.serving.filter((version) => !serving.includes(version)) ?? [];
    const came = before ? serving.filter((version) => !before.serving.includes(version)) : [];
    const texts = [
      ...left.map((version) => `${version} leaves the routes`),
      ...came.map((version) => `${version} joins the routes`),
      ...(before?.default === first ? [] : [`${first} becomes the default`]),
    ];
    return texts.length === 0 ? [] : [{ atMs, text: texts.join(", ") }];
  });
}
