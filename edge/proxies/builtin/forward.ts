import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Dispatcher } from "undici";
import type { VersionNaming } from "../../table/table.ts";
import { answerFailure, failureOf, isCutBeforeAnswer, isUnconnected, noEndpoint } from "./failure.ts";
import { cacheHeaders, hasBody, requestHeaders, responseHeaders } from "./headers.ts";
import { LazyBody } from "./lazy-body.ts";
import type { Origin, Origins } from "./origins.ts";

/** The most endpoints that one request is tried on. */
const MAX_TRIES = 3;
/** Methods that may be repeated although the first try may have arrived: RFC 9110, section 9.2.2. */
const REPEATABLE = ["GET", "HEAD", "OPTIONS"];

/** Forwards a request to an endpoint of a version, and its response to the client. */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  origins: Origins,
  version: string,
  naming: VersionNaming,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const tried = new Set<Origin>();
  let failure: unknown;
  while (tried.size < MAX_TRIES) {
    const origin = origins.pick(version, tried);
    if (!origin) break;
    tried.add(origin);
    const body = hasBody(request) ? new LazyBody(request) : null;
    origin.inFlight++;
    try {
      const answer = await ask(origin, request, body, gone.signal);
      response.writeHead(answer.statusCode, {
        ...responseHeaders(answer.headers),
        ...cacheHeaders(answer.headers, naming),
        [naming.header.toLowerCase()]: version,
      });
      await pipeline(answer.body, response);
      return;
    } catch (error) {
      failure = error;
      if (gone.signal.aborted || response.headersSent) return void response.destroy();
      if (isUnconnected(error)) origin.failed();
      if (!mayRepeat(request, body, error)) break;
    } finally {
      origin.inFlight--;
    }
  }
  answerFailure(response, tried.size === 0 ? noEndpoint : failureOf(failure));
}

function ask(
  { pool }: Origin,
  request: IncomingMessage,
  body: LazyBody | null,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  // The body fails together with its request, and the request's error is the one that is handled.
  body?.on("error", () => {});
  const method = request.method as Dispatcher.HttpMethod;
  return pool.request({ method, path: request.url ?? "/", headers: requestHeaders(request), body, signal });
}

function mayRepeat(request: IncomingMessage, body: LazyBody | null, error: unknown): boolean {
  if (body?.begun) return false;
  return isUnconnected(error) || (isCutBeforeAnswer(error) && REPEATABLE.includes(request.method ?? ""));
}
