import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { ProxyDownError } from "../contract.ts";

export interface CliAnswer {
  /** 200: success. 106: the command failed. */
  status: number;
  text: string;
}

interface PendingAnswer {
  resolve(answer: CliAnswer): void;
  reject(error: Error): void;
}

/**
 * `SSS LLLLLLLL\n`: the status, and the length of the text that follows. A newline ends the text and is not counted.
 */
const HEADER_BYTES = 13;
const CHALLENGE = 107;
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;

/**
 * varnishd's command line over TCP, with one persistent connection that is opened again after a loss. Commands may be
 * pipelined; answers come in their order. See varnish-cli(7).
 */
export class VarnishCli {
  /** The current connection, before or after its greeting. Data from earlier ones is ignored. */
  private connection: Socket | null = null;
  /** Resolves when the connection takes commands. */
  private ready: Promise<Socket> | null = null;
  private received: Buffer = Buffer.alloc(0);
  private waiting: PendingAnswer[] = [];

  constructor(
    private readonly at: { host: string; port: number; secretFile?: string | undefined; timeoutMs: number },
  ) {}

  /**
   * Runs commands and returns their answers in order.
   * @param commands the words of each, unquoted
   * @param timeoutMs for all commands together
   * @throws ProxyDownError if varnishd does not answer in time
   */
  async runAll(commands: readonly (readonly string[])[], signal: AbortSignal, timeoutMs = this.at.timeoutMs) {
    if (commands.length === 0) return [];
    signal.throwIfAborted();
    const late = AbortSignal.timeout(timeoutMs);
    const onEnd = () =>
      this.drop(signal.aborted ? (signal.reason as Error) : this.down(`no answer in ${timeoutMs} ms`));
    const both = AbortSignal.any([signal, late]);
    both.addEventListener("abort", onEnd);
    try {
      const socket = await this.connected();
      return await Promise.all(this.send(socket, commands));
    } finally {
      both.removeEventListener("abort", onEnd);
    }
  }

  close(): void {
    this.drop(this.down("the connection was closed"));
  }

  private send(socket: Socket, commands: readonly (readonly string[])[]): Promise<CliAnswer>[] {
    const answers = commands.map(
      () => new Promise<CliAnswer>((resolve, reject) => this.waiting.push({ resolve, reject })),
    );
    socket.write(commands.map((words) => `${words.map(quoteWord).join(" ")}\n`).join(""));
    return answers;
  }

  private connected(): Promise<Socket> {
    this.ready ??= this.open();
    return this.ready;
  }

  private async open(): Promise<Socket> {
    const { host, port, secretFile } = this.at;
    this.received = Buffer.alloc(0);
    const socket = connect({ host, port, noDelay: true });
    socket.on("data", (bytes) => this.onBytes(bytes, socket));
    socket.on("error", (cause) => this.drop(this.down(cause.message, cause), socket));
    socket.on("close", () => this.drop(this.down("it closed the connection"), socket));
    const greeted = new Promise<CliAnswer>((resolve, reject) => this.waiting.push({ resolve, reject }));
    this.connection = socket;
    const greeting = await greeted;
    if (greeting.status !== CHALLENGE) return socket;
    if (secretFile === undefined) throw this.refuse("it asks for a secret, and proxy.secret_file is not set");
    const [authorized] = await Promise.all(
      this.send(socket, [["auth", response(greeting.text.slice(0, 32), this.secret(secretFile))]]),
    );
    if (authorized?.status !== 200) throw this.refuse("it refused the secret in proxy.secret_file");
    return socket;
  }

  private secret(path: string): Buffer {
    try {
      return readFileSync(path);
    } catch (cause) {
      throw this.refuse(`proxy.secret_file can't be read (${(cause as Error).message})`);
    }
  }

  private refuse(why: string): Error {
    const error = this.down(why);
    this.drop(error);
    return error;
  }

  private onBytes(bytes: Buffer, socket: Socket): void {
    if (socket !== this.connection) return;
    this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes]);
    for (;;) {
      if (this.received.length < HEADER_BYTES) return;
      const [, status, length] = /^(\d{3}) (\d+) *\n$/.exec(this.received.toString("latin1", 0, HEADER_BYTES)) ?? [];
      if (status === undefined || Number(length) > MAX_ANSWER_BYTES) break;
      const end = HEADER_BYTES + Number(length);
      if (this.received.length < end + 1) return;
      const text = this.received.toString("utf8", HEADER_BYTES, end);
      this.received = this.received.subarray(end + 1);
      this.waiting.shift()?.resolve({ status: Number(status), text });
    }
    this.drop(this.down("the answer is not in varnishd's protocol"));
  }

  /** Closes the connection and rejects every pending answer. */
  private drop(error: Error, of: Socket | null = this.connection): void {
    if (of !== this.connection) return;
    this.connection = null;
    this.ready = null;
    of?.destroy();
    const waiting = this.waiting;
    this.waiting = [];
    for (const { reject } of waiting) reject(error);
  }

  private down(why: string, cause?: Error): ProxyDownError {
    return new ProxyDownError(`varnishd at ${this.at.host}:${this.at.port}: ${why}`, { cause });
  }
}

function response(challenge: string, secret: Buffer): string {
  return createHash("sha256").update(`${challenge}\n`).update(secret).update(`${challenge}\n`).digest("hex");
}

/** Quotes a word for varnishd's command line: whatever it contains, it stays one word on one line. */
export function quoteWord(word: string): string {
  if (/^[\w./:*-]+$/.test(word)) return word;
  const bytes = [...Buffer.from(word)].map((byte) =>
    byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c
      ? `\\x${byte.toString(16).padStart(2, "0")}`
      : String.fromCharCode(byte),
  );
  return `"${bytes.join("")}"`;
}
