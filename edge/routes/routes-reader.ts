import type { Logger } from "pino";
import type { MemberReader, MemberWrite } from "../members/member-source.ts";
import type { RoutesBook } from "./routes-book.ts";

/** What follows from what the routes' bucket says. */
export interface RoutesListener {
  /** The routes changed, or it changed why they are not used. */
  onRoutesChange(): void;
  /** The routes' bucket was read completely. */
  onRoutesListed(): void;
}

/** Keeps the book of routes up to date with their bucket. */
export class RoutesReader implements MemberReader {
  /** Whether the bucket was read completely at least once. */
  isRead = false;
  /** Whether the listing in progress has the routes' key. */
  private isListed = false;

  private bucketId = "";
  /** The bucket and the revision that were told last. */
  private told = "";

  constructor(
    private readonly book: RoutesBook,
    private readonly listener: RoutesListener,
    private readonly log: Logger,
  ) {}

  begin(bucketId: string): void {
    this.bucketId = bucketId;
    this.book.begin(bucketId);
    this.isListed = false;
  }

  take({ revision, text }: MemberWrite): void {
    this.isListed = true;
    if (!this.book.recordRoutes(revision, text)) return;
    const { problem, newest } = this.book;
    const { epoch, default: byDefault } = newest ?? {};
    const facts = { revision, epoch, default: byDefault, problem: problem?.message };
    // A listing tells known routes again.
    const told = `${this.bucketId} ${revision}`;
    this.log[told === this.told ? "debug" : "info"](facts, "routes were read");
    this.told = told;
    this.listener.onRoutesChange();
  }

  listed(): void {
    if (!this.isListed && this.book.recordAbsence()) {
      this.log.warn({ problem: this.book.problem?.message }, "the bus has no routes");
      this.listener.onRoutesChange();
    }
    this.isRead = true;
    this.listener.onRoutesListed();
  }

  /** Routes have no lease: they stay in force while their bucket can't be watched. */
  present(): void {}
}
