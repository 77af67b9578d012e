import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { requestHeaders } from "./headers.ts";
import type { Origins } from "./origins.ts";

/** Forwards a protocol upgrade (a WebSocket) to an endpoint, then data in both directions. */
export async function passUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  origins: Origins,
  version: string | null,
  header: string,
): Promise<void> {
  socket.on("error", () => socket.destroy());
  const origin = version === null ? null : origins.pick(version, new Set());
  if (version === null || !origin) return void socket.end("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\r\n");
  origin.inFlight++;
  try {
    const asked = { method: "GET", path: request.url ?? "/", headers: requestHeaders(request) } as const;
    const answer = await origin.pool.upgrade({ ...asked, protocol: request.headers.upgrade ?? "websocket" });
    const lines = Object.entries(answer.headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one) => `${name}: ${one}`),
    );
    socket.write(["HTTP/1.1 101 Switching Protocols", ...lines, `${header}: ${version}`, "", ""].join("\r\n"));
    if (head.length > 0) answer.socket.write(head);
    await Promise.all([pipeline(socket, answer.socket), pipeline(answer.socket, socket)]);
  } catch {
    if (!socket.destroyed) socket.end("HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n");
  } finally {
    origin.inFlight--;
  }
}
