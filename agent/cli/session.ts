import { ControlClient } from "./client.ts";
import type { CliContext } from "./context.ts";
import { shown } from "./errors.ts";
import { type SlotctlExitCode, slotctlExitCodes } from "./exit-codes.ts";
import { chooseSocket } from "./socket.ts";

/** Options that every verb takes. */
export interface SlotctlOptions {
  socket?: string;
  service?: string;
  json?: boolean;
}

/** One run of the command: which agent, and in which form answers are shown. */
export class SlotctlSession {
  options: SlotctlOptions = {};
  exitCode: SlotctlExitCode = slotctlExitCodes.done;

  constructor(readonly context: CliContext) {}

  get json(): boolean {
    return this.options.json === true;
  }

  get colors(): CliContext["colors"] {
    return this.context.colors;
  }

  /** Columns to wrap sentences at. What goes into a file or a pipe is not wrapped: a sentence stays on its line. */
  get columns(): number {
    return this.context.terminal()?.columns ?? Number.POSITIVE_INFINITY;
  }

  /** @param timeoutMs for an answer that takes long */
  client(timeoutMs?: number): ControlClient {
    const { runDirectory, socket: environment, signal } = this.context;
    const { socket, service } = this.options;
    return new ControlClient(chooseSocket({ socket, service, environment, runDirectory }), signal, timeoutMs);
  }

  print(text: string): void {
    this.context.write(`${text}\n`);
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value));
  }

  /** What happens on the way to an answer. Kept off stdout where that is for a program. */
  note(text: string): void {
    if (this.json) this.context.writeError(`${text}\n`);
    else this.print(text);
  }

  /** How far something is, on one line that is written over; "" takes it away. Nothing where stderr is no terminal. */
  progress(text: string): void {
    if (this.context.showsProgress) this.context.writeError(`\r\x1b[K${text}`);
  }

  printError(error: unknown, json = this.json): void {
    const what = shown(error);
    this.context.writeError(`error ${what.code}: ${what.message}\n`);
    if (json) this.printJson({ error: what });
  }
}
