import type { CommandOutput } from "../../terminal/output.ts";

/** A wait that is shorter than this is not worth a line. */
const SETTLE_MS = 1000;
const WIDTH = 110;

export interface Waiting {
  /** The same key again shows nothing new. */
  key: string;
  text: string;
  facts: Record<string, unknown>;
  /** Show it at once, however short it is. */
  atOnce: boolean;
}

/**
 * What a run waits for. On a terminal it is one line that is overwritten; elsewhere each wait that lasts gets a line.
 */
export class WaitingLine {
  private shownKey = "";
  private timer: NodeJS.Timeout | undefined;
  /** Prints the latest wait, once it has lasted. */
  private printLatest: () => void = () => {};

  constructor(private readonly output: CommandOutput) {}

  show({ key, text, facts, atOnce }: Waiting): void {
    if (key === this.shownKey) return;
    this.shownKey = key;
    if (!this.output.json && this.output.isTerminal) {
      this.output.progress(text.slice(0, WIDTH));
      return;
    }
    this.printLatest = () => {
      this.output.object({ at: new Date().toISOString(), ...facts });
      this.output.line(text);
    };
    if (atOnce) {
      this.stopTimer();
      this.printLatest();
    } else {
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.printLatest();
      }, SETTLE_MS);
    }
  }

  clear(): void {
    this.stopTimer();
    if (this.output.isTerminal && this.shownKey !== "") this.output.progress("");
    this.shownKey = "";
  }

  private stopTimer(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
