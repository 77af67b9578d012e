import { run } from "../../controller-stub/cli.ts";
import { Host } from "../agent/host.ts";
import { Edge } from "../edge.ts";
import { until } from "../until.ts";

/** On a busy machine everything takes a while. */
const PATIENT = { timeoutMs: 60_000 };

/** `[nats]` of a daemon; for the controller the options that mean the same. */
export interface NatsSettings {
  servers: string[];
  credentials_file?: string;
  nkey_file?: string;
  user?: string;
  password_file?: string;
  token_file?: string;
  tls?: { ca_file?: string; cert_file?: string; key_file?: string };
}

/** What a program made of a login: why it was refused, or null where it has the bus, and all that it said. */
export interface Attempt {
  refused: string | null;
  output: string;
}

/** Each program, as a real process, turns to a bus and is ended. */
export const programs: Record<string, (settings: NatsSettings) => Promise<Attempt>> = {
  async agent(nats) {
    const host = await Host.create({ nats: nats.servers[0] as string, bind: "127.0.1.1" });
    try {
      host.configure({ nats });
      host.spawnAgent();
      const answer = await until(
        "the agent has an answer of the bus",
        async () => {
          const { bus } = await host.status();
          return bus.connected || bus.error !== "not connected yet" ? bus : undefined;
        },
        PATIENT,
      );
      return { refused: answer.error, output: host.log() + JSON.stringify(await host.status()) };
    } finally {
      await host.close();
    }
  },

  async edge(nats) {
    const edge = await Edge.create({ nats: nats.servers, settings: { nats } });
    try {
      await edge.begin();
      const said = /"error":"([^"]*)","msg":"bus is away"|"msg":"bus connected"/;
      const answer = await until(
        "the edge has an answer of the bus",
        async () => said.exec(edge.log()) ?? undefined,
        PATIENT,
      );
      return { refused: answer[1] ?? null, output: edge.log() };
    } finally {
      await edge.close();
    }
  },

  async controller({ servers, credentials_file, nkey_file, user, password_file, token_file, tls }) {
    const options = {
      "--nats": servers.join(","),
      "--creds": credentials_file,
      "--nkey": nkey_file,
      "--user": user,
      "--password-file": password_file,
      "--token-file": token_file,
      "--tlsca": tls?.ca_file,
      "--tlscert": tls?.cert_file,
      "--tlskey": tls?.key_file,
    };
    const args = Object.entries(options).flatMap(([option, value]) => (value === undefined ? [] : [option, value]));
    const { code, stdout, stderr } = await run("", "setup", ...args);
    return { refused: code === 0 ? null : stderr, output: stdout + stderr };
  },
};
