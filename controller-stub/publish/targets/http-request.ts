import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { pipeline } from "node:stream/promises";

/** How long a request may make no progress. */
const STALL_MS = 60_000;
/** Servers that don't know `Expect` stay silent; after this time the body is sent all the same. */
const CONTINUE_WITHIN_MS = 1000;

export interface RequestBody {
  sizeBytes: number;
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>;
}

/**
 * One request. The caller must read the answer's body, or destroy it. A request's body is sent once the server has
 * agreed to it, so that a refusal comes before 100 MB were sent, and is not lost with the connection.
 * @throws the network's errors
 */
export function sendRequest(
  method: "GET" | "PUT",
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
  body?: RequestBody,
): Promise<IncomingMessage> {
  const request = url.protocol === "https:" ? tlsRequest : plainRequest;
  return new Promise((resolve, reject) => {
    const more = body && { "content-length": String(body.sizeBytes), expect: "100-continue" };
    const sent = request(url, { method, headers: { ...headers, ...more }, signal });
    sent.setTimeout(STALL_MS, () => sent.destroy(new Error(`nothing moved for ${STALL_MS} ms`)));
    sent.once("error", reject);
    if (body === undefined) {
      sent.once("response", resolve).end();
      return;
    }
    let begun = false;
    const begin = () => {
      if (begun) return;
      begun = true;
      clearTimeout(timer);
      // The reason why a body broke off comes from the file or the answer, else from the network.
      pipeline(body.chunks, sent).catch(reject);
    };
    const timer = setTimeout(begin, CONTINUE_WITHIN_MS);
    sent.once("continue", begin);
    sent.once("close", () => clearTimeout(timer));
    sent.once("response", (answer) => {
      resolve(answer);
      if (begun) return;
      begun = true;
      clearTimeout(timer);
      // It was refused before it was sent; the connection can't be used again.
      answer.once("close", () => sent.destroy());
    });
    sent.flushHeaders();
  });
}

/** The beginning of an answer's body, as text. */
export async function textOf(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
