/**
 * Fetches a release in a process of its own, and prints what that cost in memory.
 * argv: the archive's path, the release and the bounds as JSON, and a bus's address where the release is an object.
 */
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { fetchArchive } from "../../../../agent/releases/fetch/fetch.ts";
import { objectSource } from "../../../../agent/releases/fetch/object-source.ts";
import { noObjects } from "./installing.ts";

const [path, release, bounds, bus] = process.argv.slice(2) as [string, string, string, string | undefined];
const nc = bus === undefined ? null : await connect({ servers: bus });
const objects = nc ? objectSource({ whenUp: async () => {}, jetstream: jetstream(nc) }) : noObjects;

const before = process.memoryUsage().rss;
let peak = before;
const look = setInterval(() => {
  peak = Math.max(peak, process.memoryUsage().rss);
}, 5);
const { signal } = new AbortController();
try {
  await fetchArchive(JSON.parse(release), path, JSON.parse(bounds), objects, { signal, onProgress() {} });
  console.log(JSON.stringify({ grownBytes: peak - before }));
} finally {
  clearInterval(look);
  await nc?.close();
}
