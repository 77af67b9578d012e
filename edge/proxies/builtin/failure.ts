import type { ServerResponse } from "node:http";

/** A response that the router itself gives. */
export interface RouterFailure {
  status: 502 | 503 | 504;
  reason: string;
}

export const noEndpoint = { status: 503, reason: "no version that may answer has an endpoint" } as const;

const CONNECT_CODES = [
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
];

export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "";
}

/** Whether no connection was made, so nothing was sent. */
export function isUnconnected(error: unknown): boolean {
  return CONNECT_CODES.includes(codeOf(error));
}

/**
 * Whether the endpoint closed the connection before it answered. It may have closed it as idle just when the request
 * was sent.
 */
export function isCutBeforeAnswer(error: unknown): boolean {
  return ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"].includes(codeOf(error));
}

export function failureOf(error: unknown): RouterFailure {
  const code = codeOf(error);
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT")
    return { status: 504, reason: "no endpoint took a connection in time" };
  if (code === "UND_ERR_HEADERS_TIMEOUT") return { status: 504, reason: "the endpoint did not answer in time" };
  if (isUnconnected(error)) return { status: 502, reason: "no endpoint took a connection" };
  return { status: 502, reason: "the endpoint broke off or sent no valid HTTP response" };
}

/** Sends the router's own response. If another response has begun, it can only be cut off. */
export function answerFailure(response: ServerResponse, { status, reason }: RouterFailure): void {
  if (response.headersSent) return void response.destroy();
  const body = `${JSON.stringify({ error: { status, reason } })}\n`;
  const later = status === 503 ? { "retry-after": "1" } : {};
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...later });
  response.end(body);
}
