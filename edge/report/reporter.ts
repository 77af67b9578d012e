import type { Logger } from "pino";
import type { BusConnection } from "../../bus/connection.ts";
import { EventPublisher } from "../../bus/event-publisher.ts";
import { KeyPublisher } from "../../bus/key-publisher.ts";
import type { Event } from "../../protocol/event.ts";
import type { EdgeStatus } from "../../protocol/routes.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Table } from "../table/table.ts";
import { edgeStatus, type Faults, problemsOf } from "./edge-status.ts";

/** The state that the edge reports. */
export interface EdgeView {
  /** The table that the proxy runs with; null if unknown. */
  applied: Table | null;
  faults: Faults;
  /** Whether both buckets were read. Before that, the revisions on disk may belong to deleted buckets. */
  isRead: boolean;
}

/** Publishes the edge's status, and events about faults of the edge as a whole. */
export class Reporter {
  private readonly status: KeyPublisher;
  private readonly events: EventPublisher;
  /** Serverset revisions whose acknowledgement somebody may wait for, in ascending order. */
  private awaited: number[] = [];
  /** The last published status, without the fields that change all the time. */
  private lastPublished = "";
  /** The problem codes of the last event. */
  private lastCodes = "";

  constructor(
    bus: BusConnection,
    private readonly identity: { service: string; edge: string; proxy: string },
    private readonly currentView: () => EdgeView,
    log: Logger,
  ) {
    this.status = new KeyPublisher(bus, buckets.edges, keys.edge(identity.service, identity.edge), log);
    this.events = new EventPublisher(bus, log);
  }

  /** When a status was last stored, on the monotonic clock. */
  get storedAt(): number {
    return this.status.storedAt;
  }

  stop(): void {
    this.status.stop();
    this.events.stop();
  }

  /** Somebody may wait for the acknowledgement of this serverset revision. */
  expect(revision: number): void {
    this.awaited.push(revision);
  }

  /** The bucket was created anew, and its revisions start again. */
  forgetAwaited(): void {
    this.awaited = [];
  }

  /** Publishes the status if somebody may wait for what is new in it, and events about new problems. */
  reportNews(): void {
    const view = this.currentView();
    const status = this.statusOf(view);
    this.publishProblems(status.problems);
    const upTo = view.applied?.serversetsRevision ?? 0;
    const acknowledged = this.awaited.filter((revision) => revision <= upTo).length;
    if (acknowledged > 0) this.awaited = this.awaited.slice(acknowledged);
    if (view.isRead && (acknowledged > 0 || lasting(status) !== this.lastPublished)) this.publish(status);
  }

  /** Publishes the status, once both buckets were read. */
  heartbeat(): void {
    const view = this.currentView();
    if (view.isRead) this.publish(this.statusOf(view));
  }

  publishEvent(message: string, code?: string): void {
    const { service, edge, proxy } = this.identity;
    const event: Event = {
      at: new Date().toISOString(),
      service,
      host: "edge",
      slot: "-",
      kind: "edge",
      message: `edge ${edge}: ${message}`,
      ...(code !== undefined && { code }),
      facts: { edge, proxy },
    };
    this.events.publish(event);
  }

  private statusOf({ applied, faults }: EdgeView): EdgeStatus {
    const problems = problemsOf(this.identity.service, faults);
    return edgeStatus(this.identity, applied, faults.heldBack.length, problems, new Date());
  }

  private publish(status: EdgeStatus): void {
    this.lastPublished = lasting(status);
    this.status.set(JSON.stringify(status));
  }

  /** Publishes an event when problems of the edge as a whole begin, change or end. */
  private publishProblems(problems: EdgeStatus["problems"]): void {
    const grave = problems.filter(({ key }) => key === undefined);
    const codes = grave.map(({ code }) => code).join(" ");
    if (codes === this.lastCodes) return;
    this.lastCodes = codes;
    const [first] = grave;
    if (first) this.publishEvent(first.message, first.code);
    else this.publishEvent("all problems are solved");
  }
}

function lasting({ at, appliedServersets, ...rest }: EdgeStatus): string {
  return JSON.stringify(rest);
}
