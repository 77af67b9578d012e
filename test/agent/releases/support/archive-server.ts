import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ArchiveServer {
  /** `http://127.0.0.1:PORT` */
  origin: string;
  requests: IncomingMessage[];
  close(): Promise<void>;
}

export interface Sent {
  /** As a server would that does not know ranges. */
  ranges?: boolean;
  etag?: string;
  lastModified?: string;
  /** Breaks the connection off after so many bytes of this answer. */
  cutAfter?: number;
}

/** Answers as a file server does, ranges and If-Range included. */
export function sendFile(request: IncomingMessage, response: ServerResponse, bytes: Buffer, how: Sent = {}): void {
  const { etag, lastModified, cutAfter, ranges = true } = how;
  if (etag !== undefined) response.setHeader("etag", etag);
  if (lastModified !== undefined) response.setHeader("last-modified", lastModified);
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  const condition = request.headers["if-range"];
  const holds = condition === undefined || condition === etag || condition === lastModified;
  const start = ranges && holds ? Number(from ?? 0) : 0;
  const part = bytes.subarray(start);
  response.setHeader("content-length", part.length);
  if (start > 0) response.setHeader("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
  response.writeHead(start > 0 ? 206 : 200);
  if (cutAfter === undefined) response.end(part);
  else response.write(part.subarray(0, cutAfter), () => response.socket?.end());
}

/** A real HTTP server on a free port. `answer` gets the request's number, from 1. */
export async function serve(
  answer: (response: ServerResponse, attempt: number, request: IncomingMessage) => void,
): Promise<ArchiveServer> {
  const requests: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    answer(response, requests.length, request);
  };
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise<void>((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}
