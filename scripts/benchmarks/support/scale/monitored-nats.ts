import { startNatsWith } from "../../../../test/support/nats/with-config.ts";
import { freePorts } from "../../../../test/support/ports.ts";
import type { Run } from "../run.ts";

/** What a server has taken and given out since its start. */
export interface Traffic {
  inMessages: number;
  outMessages: number;
  inBytes: number;
  outBytes: number;
}

interface Counts {
  in_msgs: number;
  out_msgs: number;
  in_bytes: number;
  out_bytes: number;
}

/** A nats-server that tells what goes through it. */
export class MonitoredNats {
  private constructor(
    readonly url: string,
    private readonly monitor: string,
  ) {}

  static async start(run: Run): Promise<MonitoredNats> {
    const [port, monitorPort] = (await freePorts(2)) as [number, number];
    const configuration = `http: "127.0.0.1:${monitorPort}"\njetstream { store_dir: "$STORE" }\nmax_payload: 1MB\n`;
    const nats = await startNatsWith(port, configuration);
    run.own(() => nats.stop());
    return new MonitoredNats(nats.url, `http://127.0.0.1:${monitorPort}`);
  }

  /** All but what went through connections of this name, which are the benchmark's own. */
  async traffic(without: string): Promise<Traffic> {
    const [all, { connections }] = await Promise.all([
      this.ask<Counts>("/varz"),
      this.ask<{ connections: (Counts & { name?: string })[] }>("/connz?limit=1024"),
    ]);
    const own = connections.filter(({ name }) => name === without);
    const of = (key: keyof Counts) => own.reduce((rest, connection) => rest - connection[key], all[key]);
    return {
      inMessages: of("in_msgs"),
      outMessages: of("out_msgs"),
      inBytes: of("in_bytes"),
      outBytes: of("out_bytes"),
    };
  }

  /** Of the connection of this name that was closed last. The server's words: `in` is what it took from it. */
  async lastClosed(name: string): Promise<Traffic> {
    const { connections } = await this.ask<{ connections: (Counts & { name?: string })[] }>(
      "/connz?state=closed&sort=stop&limit=64",
    );
    const last = connections.find((connection) => connection.name === name);
    if (!last) throw new Error(`no closed connection is named ${name}`);
    return {
      inMessages: last.in_msgs,
      outMessages: last.out_msgs,
      inBytes: last.in_bytes,
      outBytes: last.out_bytes,
    };
  }

  private async ask<T>(path: string): Promise<T> {
    return (await (await fetch(`${this.monitor}${path}`)).json()) as T;
  }
}

export function less(after: Traffic, before: Traffic): Traffic {
  return {
    inMessages: after.inMessages - before.inMessages,
    outMessages: after.outMessages - before.outMessages,
    inBytes: after.inBytes - before.inBytes,
    outBytes: after.outBytes - before.outBytes,
  };
}
