import type { CommandOutput } from "../../terminal/output.ts";
import type { MissingEdge } from "../decisions/missing-edges.ts";
import type { MissingMember } from "../decisions/missing-members.ts";
import type { FailedHost } from "../deploy-errors.ts";
import { listSome, SHOWN } from "./list-some.ts";
import { WaitingLine } from "./waiting-line.ts";

export interface StepTime {
  step: string;
  ms: number;
  /** The barriers within the step: from the write of the routes to the last acknowledgement. */
  barriers: { routes: number; serversets: number; edges: number; ms: number }[];
}

export interface WaveProgress {
  number: number;
  of: number;
  hosts: number;
  /** The hosts that are not done. */
  waiting: string[];
}

const INDENT = "".padEnd(12);

/** What a run prints while it works, as lines or as JSON, and how long its steps took. */
export class DeployReport {
  readonly steps: StepTime[] = [];
  private stepBegan = performance.now();
  private readonly waiting: WaitingLine;

  constructor(private readonly output: CommandOutput) {
    this.waiting = new WaitingLine(output);
  }

  warn(text: string): void {
    this.waiting.clear();
    this.output.warn(text);
  }

  /** A sentence for people, an object for programs. */
  say(text: string, facts: Record<string, unknown>): void {
    this.waiting.clear();
    this.output.object({ at: new Date().toISOString(), ...facts });
    this.output.line(text);
  }

  /** The last line of a run that succeeded. */
  finish(text: string, facts: Record<string, unknown>): void {
    this.waiting.clear();
    this.output.line(text);
    this.output.object(facts);
  }

  beginStep(step: string, what: string): void {
    this.stepBegan = performance.now();
    this.steps.push({ step, ms: 0, barriers: [] });
    this.say(`${step.padEnd(12)} ${what}`, { kind: "step", step, what });
  }

  endStep(): void {
    const step = this.steps.at(-1);
    if (step) step.ms = Math.round(performance.now() - this.stepBegan);
  }

  /** Every edge at a barrier has acknowledged. */
  barrierPassed(barrier: StepTime["barriers"][number]): void {
    this.steps.at(-1)?.barriers.push(barrier);
    const edges = `${barrier.edges} ${barrier.edges === 1 ? "edge" : "edges"}`;
    const text = `${INDENT} ${edges} acknowledged routes ${barrier.routes}, ${barrier.ms} ms`;
    this.say(text, { kind: "barrier", ...barrier });
  }

  waitingForEdges(missing: readonly MissingEdge[]): void {
    const texts = missing.map(
      ({ edge, why, lastSeen }) => `${edge}: ${why}${lastSeen ? `, reported ${lastSeen}` : ""}`,
    );
    this.waiting.show({
      key: `edges:${missing.map(({ edge, why }) => `${edge} ${why}`).join()}`,
      text: `${INDENT} waiting for ${listSome(texts)}`,
      facts: { kind: "waiting", for: "edges", missing },
      atOnce: this.output.json,
    });
  }

  waitingForMembers(missing: readonly MissingMember[]): void {
    const texts = missing.map(({ host, why }) => `${host}: ${why}`);
    const shown = missing.slice(0, SHOWN);
    this.waiting.show({
      key: `members:${texts.join()}`,
      text: `${INDENT} waiting for members: ${listSome(texts)}`,
      facts: { kind: "waiting", for: "members", count: missing.length, missing: shown },
      atOnce: false,
    });
  }

  waveProgress({ number, of, hosts, waiting }: WaveProgress): void {
    const done = hosts - waiting.length;
    const names = waiting.length > 0 ? `, waiting for ${listSome(waiting)}` : "";
    this.waiting.show({
      key: `wave:${number}:${waiting.join()}`,
      text: `${INDENT} wave ${number} of ${of}: ${done} of ${hosts} hosts done${names}`,
      facts: { kind: "wave", wave: number, of, hosts, done, waiting: waiting.slice(0, SHOWN) },
      atOnce: done === 0 || done === hosts,
    });
  }

  hostFailed({ host, slot, code, message }: FailedHost): void {
    const text = `${INDENT} ${host} failed, slot ${slot}: ${code}: ${message}`;
    this.say(text, { kind: "failed", host, slot, code, message });
  }

  close(): void {
    this.waiting.clear();
  }
}
