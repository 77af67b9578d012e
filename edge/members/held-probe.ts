import { connect } from "node:net";
import type { KnownMembers } from "./members.ts";
import type { ReadMember } from "./read-member.ts";

/** How often each endpoint that is held back is asked for a connection. */
const PROBE_EVERY_MS = 250;
/** An endpoint that refuses this many connections in a row, over a second, is gone. */
const REFUSALS = 5;
/** No answer within this time is silence, and no refusal. */
const CONNECT_MS = 1_000;
/** The most endpoints to ask at a time; more take turns. */
const MAX_PROBES = 128;

/** What a port does with a connection. Only `refuses` says that nobody listens there. */
export type ProbeAnswer = "accepts" | "refuses" | "silent";

/**
 * Asks the endpoints that are held back whether they take connections: their members are silent, but their ports may
 * know. It works alike for every proxy, and sends nothing: it connects and closes.
 */
export class HeldProbe {
  /** Key → refusals in a row. */
  private readonly refusals = new Map<string, number>();
  private readonly asking = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private turn = 0;

  /** @param onChange an endpoint began or ceased to refuse connections */
  constructor(
    private readonly members: KnownMembers,
    private readonly onChange: (key: string, answer: ProbeAnswer) => void,
    private readonly ask: (endpoint: ReadMember) => Promise<ProbeAnswer> = askPort,
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.probe(), PROBE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** Asks each endpoint once, or as many as may be asked at a time. Resolves when all of them have answered. */
  async probe(): Promise<void> {
    const held = this.members.doubtful();
    for (const key of this.refusals.keys()) if (!held.has(key)) this.refusals.delete(key);
    const keys = [...held.keys()].filter((key) => !this.asking.has(key));
    const from = keys.length > MAX_PROBES ? this.turn % keys.length : 0;
    const chosen = [...keys.slice(from), ...keys.slice(0, from)].slice(0, MAX_PROBES - this.asking.size);
    this.turn = from + chosen.length;
    await Promise.all(chosen.map((key) => this.probeOne(key, held.get(key) as ReadMember)));
  }

  private async probeOne(key: string, endpoint: ReadMember): Promise<void> {
    this.asking.add(key);
    const answer = await this.ask(endpoint);
    this.asking.delete(key);
    const refusals = answer === "refuses" ? (this.refusals.get(key) ?? 0) + 1 : 0;
    this.refusals.set(key, refusals);
    if (answer === "silent" || (answer === "refuses" && refusals < REFUSALS)) return;
    if (this.members.recordProbe(key, answer, performance.now())) this.onChange(key, answer);
  }
}

function askPort({ address, port }: ReadMember): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (answer: ProbeAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(CONNECT_MS, () => end("silent"));
    socket.once("connect", () => end("accepts"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => end(code === "ECONNREFUSED" ? "refuses" : "silent"));
  });
}
