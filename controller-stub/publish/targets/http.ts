import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { PublishFailedError } from "../../../protocol/errors.ts";
import { ArgumentError } from "../../errors.ts";
import { type RequestBody, sendRequest, textOf } from "./http-request.ts";
import type { LocalFile } from "./local-file.ts";
import type { PublishTarget, StoredText } from "./target.ts";

const MAX_TEXT_BYTES = 1024 ** 2;
const MAX_REASON_BYTES = 4096;
/** The name is taken: 412 by RFC 9110; some servers answer 409. */
const TAKEN = [409, 412];
const GONE = [404, 410];

/** A server that stores what is PUT below an address, such as WebDAV or an object store. */
export class HttpTarget implements PublishTarget {
  readonly where: string;
  private readonly base: URL;
  private readonly headers: Record<string, string>;

  constructor(
    base: string,
    headersFile: string | undefined,
    readonly signal: AbortSignal,
  ) {
    this.base = baseUrl("--to", base);
    this.headers = { "accept-encoding": "identity", ...(headersFile !== undefined && readHeaders(headersFile)) };
    const { username, password } = this.base;
    if (username !== "" || password !== "") {
      const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      this.headers.authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
      this.base.username = "";
      this.base.password = "";
    }
    this.where = this.base.href;
  }

  addressOf(name: string): string {
    return addressBelow(this.base, name).href;
  }

  async digestOf(name: string): Promise<string | null> {
    const answer = await this.get(name);
    if (answer === null) return null;
    const hash = createHash("sha256");
    await this.readResponse(name, async () => {
      for await (const chunk of answer) hash.update(chunk as Buffer);
    });
    return hash.digest("hex");
  }

  createFile(name: string, file: LocalFile, onBytes: (doneBytes: number) => void): Promise<boolean> {
    const chunks = file.readChunks(this.signal, onBytes);
    return this.put(name, { "if-none-match": "*" }, { sizeBytes: file.sizeBytes, chunks });
  }

  async fetchText(name: string): Promise<StoredText | null> {
    const answer = await this.get(name);
    if (answer === null) return null;
    const text = await this.readResponse(name, () => textOf(answer, MAX_TEXT_BYTES));
    return { text, revision: answer.headers.etag ?? null };
  }

  replaceText(name: string, text: string, was: StoredText | null): Promise<boolean> {
    const bytes = Buffer.from(text);
    const etag = typeof was?.revision === "string" && !was.revision.startsWith("W/") ? was.revision : null;
    const condition: Record<string, string> =
      was === null ? { "if-none-match": "*" } : etag === null ? {} : { "if-match": etag };
    const headers = { ...condition, "content-type": "application/json" };
    return this.put(name, headers, { sizeBytes: bytes.length, chunks: [bytes] });
  }

  private async get(name: string): Promise<IncomingMessage | null> {
    const answer = await this.readResponse(name, () =>
      sendRequest("GET", addressBelow(this.base, name), this.headers, this.signal),
    );
    const { statusCode: status = 0 } = answer;
    if (status === 200) return answer;
    if (GONE.includes(status)) {
      answer.destroy();
      return null;
    }
    throw await this.refused("GET", name, answer);
  }

  private async put(name: string, headers: Record<string, string>, body: RequestBody): Promise<boolean> {
    const all = { "content-type": "application/octet-stream", ...this.headers, ...headers };
    const url = addressBelow(this.base, name);
    const answer = await this.readResponse(name, () => sendRequest("PUT", url, all, this.signal, body));
    const { statusCode: status = 0 } = answer;
    if (!TAKEN.includes(status) && (status < 200 || status > 299)) throw await this.refused("PUT", name, answer);
    answer.destroy();
    return !TAKEN.includes(status);
  }

  private async refused(method: string, name: string, answer: IncomingMessage): Promise<PublishFailedError> {
    const said = await textOf(answer, MAX_REASON_BYTES).catch(() => "");
    const [line = ""] = said.trim().split("\n");
    const why = `status ${answer.statusCode} to ${method} ${name}${line ? `: ${line.slice(0, 200)}` : ""}`;
    return new PublishFailedError(this.where, why);
  }

  /** Turns the network's errors into errors with a code. */
  private async readResponse<T>(name: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (cause) {
      this.signal.throwIfAborted();
      const { code, message } = cause as NodeJS.ErrnoException;
      if (cause instanceof ArgumentError) throw cause;
      throw new PublishFailedError(this.where, `${name}: ${message || code}`, { cause });
    }
  }
}

/** @throws ArgumentError */
export function baseUrl(option: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["http:", "https:", "file:"].includes(url.protocol))
    throw new ArgumentError(option, "must be an http(s)://… address");
  if (url.search !== "" || url.hash !== "") throw new ArgumentError(option, "must not have a query or a fragment");
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** The address of a name below a base. */
export function addressBelow(base: URL, name: string): URL {
  return new URL(name.split("/").map(encodeURIComponent).join("/"), base);
}

/** Reads lines of `Name: value`, the format of [releases] fetch_headers_file. */
function readHeaders(file: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new ArgumentError("--headers-file", `can't be read: ${(cause as Error).message}`, { cause });
  }
  const headers: Record<string, string> = {};
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)$/.exec(line) ?? [];
    // The line is not shown: it may hold a secret.
    if (name === undefined) throw new ArgumentError("--headers-file", `line ${i + 1} must be "Name: value"`);
    headers[name.toLowerCase()] = (value ?? "").trim();
  }
  return headers;
}
