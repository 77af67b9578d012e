import { connect } from "node:net";
import { defaultPort, hostOf, parseAddress, redactAddress } from "../../../bus/address.ts";
import { type Check, fail, ok, reason, warn } from "./check.ts";

export interface ServerReach {
  /** As configured, without credentials. */
  server: string;
  /** Why it can't be reached; null: it can. */
  why: string | null;
}

/** Which of the configured NATS servers accept a TCP connection. */
export function reachServers(servers: readonly string[], timeoutMs = 2_000): Promise<ServerReach[]> {
  return Promise.all(
    servers.map(async (server) => ({ server: redactAddress(server), why: await reach(server, timeoutMs) })),
  );
}

/** One check per server. A server that is down is a failure only if no other can be reached. */
export function checkServers(reaches: readonly ServerReach[]): Check[] {
  const some = reaches.some(({ why }) => why === null);
  return reaches.map(({ server, why }) => {
    const name = "bus server";
    if (why === null) return ok(name, `${server} accepts connections`);
    return (some ? warn : fail)(
      name,
      `${server} can't be reached (${why})`,
      "start nats-server there, or fix nats.servers",
    );
  });
}

async function reach(server: string, timeoutMs: number): Promise<string | null> {
  const url = parseAddress(server);
  if (!url) return "not an address";
  const address = { host: hostOf(url), port: url.port === "" ? defaultPort : Number(url.port) };
  return new Promise((resolve) => {
    const socket = connect({ ...address, signal: AbortSignal.timeout(timeoutMs) });
    const end = (why: string | null) => {
      socket.destroy();
      resolve(why);
    };
    socket.once("connect", () => end(null));
    socket.once("error", (error) =>
      end(error.name === "AbortError" ? `no answer within ${timeoutMs} ms` : reason(error)),
    );
  });
}
