import type { UsersReport } from "./tally.ts";

export interface UsersOptions {
  /** Where edges, or hosts, listen: `http://127.0.0.1:8080`. */
  urls: readonly string[];
  /** How many users there are, at most 5000. Every other one makes a new connection for each request. */
  users: number;
  /** Calls that all of them make together; the loads of pages and assets come on top. */
  requestsPerSecond: number;
  /** `sticky`: a user stays with one URL, `switching`: each request goes to one at random. */
  edges?: "sticky" | "switching";
  /**
   * `guarded`: the page's own client, examples/web/public/version-client.js. `naive`: one that reloads whenever
   * versions differ.
   */
  client?: "guarded" | "naive";
  /** What the guarded client waits at least between two reloads, in place of its own minute. */
  reloadPauseMs?: number;
  /** One call in so many takes 300 ms, so that some are always under way; none by default. */
  slowEvery?: number;
}

export type ToUsers = { kind: "mark"; name: string } | { kind: "report" } | { kind: "stop" };
export type FromUsers = { kind: "ready" } | { kind: "report"; report: UsersReport };
