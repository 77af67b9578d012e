import picocolors from "picocolors";
import { terminalJson, terminalLine, terminalText } from "../../protocol/terminal-text.ts";
import type { Colours } from "./colours.ts";
import type { HostChange } from "./host-changes.ts";
import { changeLine } from "./render.ts";

export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
}

export interface OutputOptions {
  stdout: OutputStream;
  stderr: OutputStream;
  /** Only JSON on stdout. */
  json: boolean;
  /** NO_COLOR is set. */
  plain: boolean;
}

/**
 * Results on stdout, for people or as JSON; everything else on stderr. Every text is made harmless here: statuses
 * carry what apps and others wrote.
 */
export class CommandOutput {
  readonly json: boolean;
  readonly colours: Colours;
  private readonly stdoutStream: OutputStream;
  private readonly stderrStream: OutputStream;
  private readonly errColours: Colours;

  constructor({ stdout, stderr, json, plain }: OutputOptions) {
    this.json = json;
    this.stdoutStream = stdout;
    this.stderrStream = stderr;
    this.colours = picocolors.createColors(stdout.isTTY === true && !plain && !json);
    this.errColours = picocolors.createColors(stderr.isTTY === true && !plain);
  }

  get isTerminal(): boolean {
    return this.stdoutStream.isTTY === true;
  }

  /** A line for people: prints nothing with `--json`. */
  line(text: string): void {
    if (!this.json) this.stdoutStream.write(`${terminalLine(text, this.styles)}\n`);
  }

  /** The same of several lines, such as a table, whose cells are one line each. */
  lines(text: string): void {
    if (!this.json) this.stdoutStream.write(`${terminalText(text, this.styles)}\n`);
  }

  /** For programs: prints nothing without `--json`. */
  object(value: unknown): void {
    if (this.json) this.stdoutStream.write(`${terminalJson(value)}\n`);
  }

  change(change: HostChange): void {
    if (this.json) this.object(change);
    else this.line(changeLine(change, this.colours));
  }

  /** On a terminal, replaces what was printed before. */
  redraw(text: string): void {
    this.stdoutStream.write(`${this.isTerminal ? "\x1b[H\x1b[2J" : ""}${terminalText(text, this.styles)}\n`);
  }

  /** Progress, on one line that is overwritten; only on a terminal. */
  progress(text: string): void {
    if (this.stderrStream.isTTY) this.stderrStream.write(`\r\x1b[K${terminalLine(text)}`);
  }

  warn(text: string): void {
    this.stderrStream.write(`${this.errColours.yellow("warning")}: ${terminalLine(text)}\n`);
  }

  error(code: string, message: string): void {
    this.stderrStream.write(`${this.errColours.red("error")} ${terminalLine(code)}: ${terminalLine(message)}\n`);
  }

  private get styles() {
    return { keepStyles: this.colours.isColorSupported };
  }
}
