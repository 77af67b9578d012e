import { helpWidth } from "../../daemon/wrap-help.ts";
import { type ExitCode, exitCodes } from "../../protocol/exit-codes.ts";
import { terminalJson, terminalLine } from "../../protocol/terminal-text.ts";
import { ControlClient } from "./client.ts";
import type { CliContext } from "./context.ts";
import { shown } from "./errors.ts";
import { chooseSocket } from "./socket.ts";

/** Options of every verb. */
export interface SlotctlOptions {
  socket?: string;
  service?: string;
  json?: boolean;
}

/** One run of the command: the chosen agent, and the form of the output. */
export class SlotctlSession {
  options: SlotctlOptions = {};
  exitCode: ExitCode = exitCodes.done;

  constructor(readonly context: CliContext) {}

  get json(): boolean {
    return this.options.json === true;
  }

  get colors(): CliContext["colors"] {
    return this.context.colors;
  }

  /** For text that may have colours of this program. */
  get styles(): { keepStyles: boolean } {
    return { keepStyles: this.colors.isColorSupported };
  }

  /** The column to wrap sentences at. Output to a file or a pipe is not wrapped. */
  get columns(): number {
    return this.context.terminal()?.columns ?? Number.POSITIVE_INFINITY;
  }

  get helpColumns(): number {
    return helpWidth(this.context.terminal()?.columns);
  }

  /** @param timeoutMs for a slow answer */
  client(timeoutMs?: number): ControlClient {
    const { runDirectory, socket: environment, signal } = this.context;
    const { socket, service } = this.options;
    return new ControlClient(chooseSocket({ socket, service, environment, runDirectory }), signal, timeoutMs);
  }

  /** Prints lines for people. Whatever the agent, an app or an order put into one stays in it, and is harmless. */
  print(...lines: readonly string[]): void {
    for (const line of lines) this.context.write(`${terminalLine(line, this.styles)}\n`);
  }

  /** Prints a line of an app's output as it is. */
  printOutput(line: string): void {
    this.context.write(`${line}\n`);
  }

  printJson(value: unknown): void {
    this.context.write(`${terminalJson(value)}\n`);
  }

  /** Prints progress towards an answer: to stderr with --json, otherwise to stdout. */
  note(text: string): void {
    if (this.json) this.context.writeError(`${terminalLine(text, this.styles)}\n`);
    else this.print(text);
  }

  /** Overwrites the progress line; "" removes it. Does nothing if stderr is not a terminal. */
  progress(text: string): void {
    if (this.context.showsProgress) this.context.writeError(`\r\x1b[K${terminalLine(text)}`);
  }

  printError(error: unknown, json = this.json): void {
    const what = shown(error);
    this.context.writeError(`${terminalLine(`error ${what.code}: ${what.message}`)}\n`);
    if (json) this.printJson({ error: what });
  }
}
