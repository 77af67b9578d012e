import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { type NatsServer, startNats } from "../nats/server.ts";
import { until } from "../until.ts";
import { Host, type HostOptions, pidsAtWorkIn, pidsWithEnvironment, type Settings } from "./host.ts";

/**
 * A bus for a `describe`, and hosts on it that are closed after each test, which must then have left no process behind.
 */
export interface Hosts {
  readonly nats: NatsServer;
  /** A host whose agent answers, and has the bus. */
  start(settings?: Settings, options?: Partial<HostOptions>): Promise<Host>;
  /** A host whose agent is not started yet. */
  create(settings?: Settings, options?: Partial<HostOptions>): Promise<Host>;
  /** Something else to undo after the test, before the hosts are closed; the newest first. */
  onEnd(undo: () => unknown): void;
}

/** To be called in a `describe`: registers its hooks. */
export function useHosts(): Hosts {
  let nats: NatsServer | undefined;
  const open: Host[] = [];
  const undoing: (() => unknown)[] = [];
  before(async () => {
    nats = await startNats();
  });
  after(() => nats?.stop());
  // Each of them is undone and closed, also after one that fails.
  afterEach(async () => {
    const failures: unknown[] = [];
    const attempt = async (action: () => unknown) => {
      try {
        await action();
      } catch (error) {
        failures.push(error);
      }
    };
    for (const undo of undoing.splice(0).reverse()) await attempt(undo);
    for (const host of open.splice(0)) await attempt(() => closed(host));
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures);
  });
  const bus = () => {
    assert(nats, "the bus is started before the tests");
    return nats;
  };
  const create = async (settings: Settings = {}, options: Partial<HostOptions> = {}) => {
    const host = await Host.create({ nats: bus().url, settings, ...options });
    open.push(host);
    return host;
  };
  return {
    get nats() {
      return bus();
    },
    create,
    async start(settings, options) {
      const host = await create(settings, options);
      await host.startAgent();
      if (options?.nats === undefined)
        await until("the agent has the bus", async () => (await host.status()).bus.connected);
      return host;
    },
    onEnd: (undo) => undoing.push(undo),
  };
}

/** Closes a host, and sees that no process of it is left. */
async function closed(host: Host): Promise<void> {
  const token = tokenOf(host);
  await host.close();
  const left = token === null ? [] : pidsWithEnvironment(`SLOTD_TOKEN=${token}`);
  assert.deepEqual([...left, ...pidsAtWorkIn(host.directory)], [], "no process is left");
}

function tokenOf(host: Host): string | null {
  try {
    return readFileSync(join(host.state, "token"), "utf8").trim();
  } catch {
    return null;
  }
}
