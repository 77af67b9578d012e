import type { Logger } from "pino";
import type { SlotRecord } from "../journal/journal.ts";
import type { SlotJournal } from "../journal/schema.ts";
import type { Worker } from "../workers/process/worker.ts";

/** What the journal says of a slot's workers, for the next agent to recognize them by; until then, by their token. */
export class WorkerRecord {
  private writing = false;

  constructor(
    private readonly record: SlotRecord,
    private readonly log: Logger,
  ) {}

  /** Writes down who the workers are, once for all that start together. */
  writeSoon(workers: () => readonly Worker[]): void {
    if (this.writing) return;
    this.writing = true;
    setImmediate(() => {
      this.writing = false;
      const facts = workers().map(({ number, identity, startedAt, outputStart }) => ({
        number,
        identity,
        startedAt,
        outputStart,
      }));
      this.note({ workers: facts });
    });
  }

  /** After a crash from here on, the next agent ends the processes rather than taking them over. */
  noteStopping(): void {
    this.note({ stopping: true });
  }

  /** None is left: workers that are started from now on are taken over again. */
  noteStopped(): void {
    this.note({ stopping: false, workers: [] });
  }

  /** Writes down what only eases the next start; without it, the slot goes on all the same. */
  note(change: Partial<SlotJournal>): void {
    this.record.note(change, (err) => this.log.error({ err }, "journal could not be written; continuing without"));
  }
}
