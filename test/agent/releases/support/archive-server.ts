import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ArchiveServer {
  /** `http://127.0.0.1:PORT` */
  origin: string;
  requests: IncomingMessage[];
  close(): Promise<void>;
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
