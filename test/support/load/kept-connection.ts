import { type Agent, request } from "node:http";
import type { Socket } from "node:net";

/**
 * A GET over a client's own kept connections. Resolves when it was answered, with the socket, which emits `close` with
 * whether it was reset.
 */
export function getOver(agent: Agent, at: { host: string; port: number }, path = "/"): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let socket: Socket;
    const call = request({ ...at, path, agent }, (response) => {
      response.resume().once("end", () => resolve(socket));
    });
    call.once("socket", (given) => {
      socket = given;
    });
    call.once("error", reject);
    call.end();
  });
}
