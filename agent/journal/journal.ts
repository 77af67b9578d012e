import { randomBytes } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { JournalCorruptError, JournalNewerError, JournalUnwritableError } from "../../protocol/errors.ts";
import { writeDurablySync } from "../os/durable-file.ts";
import { readOwnFile } from "./read-file.ts";
import {
  emptySlotJournal,
  isNewer,
  JOURNAL_FORMAT,
  type JournalContent,
  journalSchema,
  type SlotJournal,
} from "./schema.ts";

/**
 * What the agent must know after any crash: what each slot is to hold, which orders were seen, and who the workers are.
 * One file, replaced whole; a change is on the disk before the call returns.
 */
export class Journal {
  private constructor(
    readonly path: string,
    private content: JournalContent,
    /** Why an earlier journal was set aside, if one was. */
    readonly corrupt: JournalCorruptError | null,
    /** There was no journal that could be read: what it says does not tell what runs on this host. */
    readonly lost: boolean,
  ) {}

  /**
   * Reads the journal. One that can't be understood is set aside, and an empty one takes its place.
   * @throws JournalNewerError where a newer agent wrote it, ConfigInvalidError where it can't be read; then it stays as
   * it is.
   */
  static open(stateDirectory: string): Journal {
    const path = join(stateDirectory, "journal.json");
    const empty: JournalContent = { format: JOURNAL_FORMAT, slots: {} };
    const text = readOwnFile(
      path,
      "let the agent's user read it, or move it away, and the orders are read from the bus",
    );
    if (text === null) return new Journal(path, empty, null, true);
    try {
      const value: unknown = JSON.parse(text);
      if (isNewer(value)) throw new JournalNewerError(path, String(value.format), JOURNAL_FORMAT);
      return new Journal(path, journalSchema.parse(value), null, false);
    } catch (error) {
      if (error instanceof JournalNewerError) throw error;
      const when = new Date().toISOString().replaceAll(":", "");
      const aside = `${path}.corrupt-${when}-${randomBytes(3).toString("hex")}`;
      renameSync(path, aside);
      return new Journal(path, empty, new JournalCorruptError(firstLine(error), aside), true);
    }
  }

  /** One slot's part of the journal. */
  slot(name: string): SlotRecord {
    return new SlotRecord(
      () => this.content.slots[name] ?? emptySlotJournal(),
      (next) => this.write({ ...this.content, slots: { ...this.content.slots, [name]: next } }),
    );
  }

  /** Whether any slot holds a version, or is about to. */
  names(version: string): boolean {
    return Object.values(this.content.slots).some(({ resident, order }) => {
      const coming = order?.outcome === "pending" && order.order.action === "install" ? order.order.release : null;
      return resident?.release.version === version || coming?.version === version;
    });
  }

  private write(next: JournalContent): void {
    try {
      writeDurablySync(this.path, `${JSON.stringify(next)}\n`);
    } catch (error) {
      throw new JournalUnwritableError(this.path, error as Error);
    }
    this.content = next;
  }
}

/** A slot's own view of the journal. */
export class SlotRecord {
  constructor(
    private readonly read: () => SlotJournal,
    private readonly write: (next: SlotJournal) => void,
  ) {}

  get current(): SlotJournal {
    return this.read();
  }

  /** @throws JournalUnwritableError; then nothing has changed, in memory or on the disk. */
  update(change: Partial<SlotJournal>): void {
    this.write({ ...this.read(), ...change });
  }

  /** Writes down what only eases the next start: a full disk must not keep a slot from ending its workers. */
  note(change: Partial<SlotJournal>, onLost: (error: JournalUnwritableError) => void): void {
    try {
      this.update(change);
    } catch (error) {
      if (!(error instanceof JournalUnwritableError)) throw error;
      onLost(error);
    }
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ").slice(0, 200);
}
