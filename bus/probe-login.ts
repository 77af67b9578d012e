import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { parseAddress } from "./address.ts";
import { loginOptions } from "./login.ts";
import type { Login } from "./login-rules.ts";
import { reasonOf } from "./reason.ts";

/** What became of an attempt to log in. `maxStreams` is 0 or less where there is no limit. */
export type LoginProbe =
  | { result: "refused"; why: string }
  | { result: "no JetStream"; why: string }
  | { result: "ok"; serverVersion: string | null; streams: number; maxStreams: number };

/**
 * Logs in once, and asks JetStream for the account's limits.
 * @param servers those of the login's addresses to try
 */
export async function probeLogin(login: Login, servers: readonly string[], timeoutMs: number): Promise<LoginProbe> {
  // The whole login says whether TLS is needed, and may have a user in the address of a server that is down.
  const hosts = servers.flatMap((address) => parseAddress(address)?.host ?? []);
  const options = { ...loginOptions(login), servers: hosts, name: "slotctl doctor", reconnect: false };
  try {
    const nc = await connect({ ...options, timeout: timeoutMs });
    try {
      const manager = await jetstreamManager(nc, { timeout: timeoutMs / 2 });
      const { streams, limits } = await manager.getAccountInfo();
      return { result: "ok", serverVersion: nc.info?.version ?? null, streams, maxStreams: limits.max_streams };
    } catch (error) {
      return { result: "no JetStream", why: reasonOf(error) };
    } finally {
      await nc.close();
    }
  } catch (error) {
    return { result: "refused", why: reasonOf(error) };
  }
}
