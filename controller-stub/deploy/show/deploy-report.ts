import type { Event } from "../../../protocol/event.ts";
import { eventStream, subjects } from "../../../protocol/subjects.ts";
import { ensureEventStream } from "../../buckets.ts";
import type { Bus } from "../../bus.ts";
import type { CommandOutput } from "../../terminal/output.ts";
import type { MissingEdge } from "../decisions/missing-edges.ts";
import type { MissingMember } from "../decisions/missing-members.ts";
import type { FailedHost } from "../deploy-errors.ts";

export interface StepTime {
  step: string;
  ms: number;
  /** The barriers within the step: from when the routes were written to the last acknowledgement. */
  barriers: { routes: number; serversets: number; edges: number; ms: number }[];
}

export interface WaveView {
  number: number;
  of: number;
  hosts: number;
  waiting: string[];
}

const SHOWN = 8;
/** What lasts no longer than this is not worth a line. */
const CALM_MS = 1000;

/** What a run says while it works: lines for people or JSON lines, events on the bus, and durations for the end. */
export class DeployReport {
  readonly steps: StepTime[] = [];
  private readonly sending = new Set<Promise<unknown>>();
  private began = performance.now();
  private shown = "";
  private later: NodeJS.Timeout | undefined;
  /** What is said when the time has come, unless it is over by then. */
  private latest: () => void = () => {};

  constructor(
    private readonly output: CommandOutput,
    private readonly bus: Bus,
    private readonly service: string,
  ) {}

  get isJson(): boolean {
    return this.output.json;
  }

  warn(text: string): void {
    this.clear();
    this.output.warn(text);
  }

  /** A sentence for people, an object for programs. */
  say(text: string, facts: Record<string, unknown>): void {
    this.clear();
    this.output.object({ at: new Date().toISOString(), ...facts });
    this.output.line(text);
  }

  /** The last word. */
  finish(text: string, facts: Record<string, unknown>): void {
    this.clear();
    this.output.line(text);
    this.output.object(facts);
  }

  begin(step: string, what: string): void {
    this.began = performance.now();
    this.steps.push({ step, ms: 0, barriers: [] });
    this.say(`${step.padEnd(12)} ${what}`, { kind: "step", step, what });
  }

  end(): void {
    const step = this.steps.at(-1);
    if (step) step.ms = Math.round(performance.now() - this.began);
  }

  /** Everybody at a barrier has acknowledged. */
  passed(barrier: StepTime["barriers"][number]): void {
    this.steps.at(-1)?.barriers.push(barrier);
    const edges = `${barrier.edges} ${barrier.edges === 1 ? "edge" : "edges"}`;
    this.say(`${"".padEnd(12)} ${edges} acknowledged routes ${barrier.routes}, ${barrier.ms} ms`, {
      kind: "barrier",
      ...barrier,
    });
  }

  waitingForEdges(missing: readonly MissingEdge[]): void {
    const texts = missing.map(({ edge, why, lastSeen }) => `${edge} ${why}${lastSeen ? `, reported ${lastSeen}` : ""}`);
    const key = missing.map(({ edge, why }) => `${edge} ${why}`).join();
    this.waiting(
      `edges:${key}`,
      `waiting for ${listSome(texts)}`,
      { kind: "waiting", for: "edges", missing },
      this.isJson,
    );
  }

  waitingForMembers(missing: readonly MissingMember[]): void {
    const texts = missing.map(({ host, why }) => `${host}: ${why}`);
    this.waiting(
      `members:${texts.join()}`,
      `waiting for members: ${listSome(texts)}`,
      {
        kind: "waiting",
        for: "members",
        count: missing.length,
        missing: missing.slice(0, SHOWN),
      },
      false,
    );
  }

  wave({ number, of, hosts, waiting }: WaveView): void {
    const text = `wave ${number} of ${of}: ${hosts - waiting.length} of ${hosts} hosts done`;
    const names = waiting.length > 0 ? `, waiting for ${listSome(waiting)}` : "";
    const facts = {
      kind: "wave",
      wave: number,
      of,
      hosts,
      done: hosts - waiting.length,
      waiting: waiting.slice(0, SHOWN),
    };
    this.waiting(
      `wave:${number}:${waiting.join()}`,
      `${text}${names}`,
      facts,
      waiting.length === hosts || waiting.length === 0,
    );
  }

  failed({ host, slot, code, message }: FailedHost): void {
    this.say(`${"".padEnd(12)} ${host} failed, slot ${slot}: ${code}: ${message}`, {
      kind: "failed",
      host,
      slot,
      code,
      message,
    });
  }

  /** An event on the bus. It is sent when it can be; a deploy does not wait for it. */
  event(message: string, facts: Pick<Event, "version" | "code" | "facts"> = {}): void {
    const at = new Date().toISOString();
    const { service } = this;
    const event: Event = { at, service, host: "controller", slot: "-", kind: "deploy", message, ...facts };
    const subject = subjects.event(service, "controller", "-");
    const sending = this.bus.js.publish(subject, JSON.stringify(event)).catch(() => {});
    this.sending.add(sending);
    void sending.finally(() => this.sending.delete(sending));
  }

  static async open(output: CommandOutput, bus: Bus, service: string): Promise<DeployReport> {
    // An event that finds no stream is lost, and that is all.
    await ensureEventStream(bus).catch(() => output.warn(`${eventStream.name} can't be used: no events are kept`));
    return new DeployReport(output, bus, service);
  }

  /** Waits for the events that are on their way. */
  async close(): Promise<void> {
    this.clear();
    await Promise.all(this.sending);
  }

  /** On a terminal a line that is written over; elsewhere a line when it lasts, or at once if it must be seen. */
  private waiting(key: string, text: string, facts: Record<string, unknown>, atOnce: boolean): void {
    if (key === this.shown) return;
    this.shown = key;
    const line = `${"".padEnd(12)} ${text}`;
    if (!this.output.json && this.output.isTerminal) {
      this.output.progress(line.slice(0, 110));
      return;
    }
    this.latest = () => {
      this.output.object({ at: new Date().toISOString(), ...facts });
      this.output.line(line);
    };
    if (atOnce) {
      // What was about to be said is overtaken.
      clearTimeout(this.later);
      this.later = undefined;
      this.latest();
    } else {
      this.later ??= setTimeout(() => {
        this.later = undefined;
        this.latest();
      }, CALM_MS);
    }
  }

  private clear(): void {
    clearTimeout(this.later);
    this.later = undefined;
    if (this.output.isTerminal && this.shown !== "") this.output.progress("");
    this.shown = "";
  }
}

/** Names, as many as a line takes. */
export function listSome(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return `${names.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
