import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import type { Socket } from "node:net";

/** A request that takes long, of the app `streams.mjs`. */
export interface LongRequest {
  what: string;
  /** The app has begun to deal with it. */
  begun: Promise<unknown>;
  /** Whether it came to its proper end. */
  end: Promise<"whole" | "cut">;
  abandon(): void;
}

export interface Pace {
  times: number;
  everyMs: number;
}

type At = { host: string; port: number };

/** One of each kind. */
export function longRequests(at: At, pace: Pace): LongRequest[] {
  return [upload(at, pace), answer("/download", at, pace), answer("/events", at, pace), webSocket(at, pace)];
}

/** A POST whose body comes bit by bit. */
function upload(at: At, { times, everyMs }: Pace): LongRequest {
  const call = request({ ...at, path: "/upload", method: "POST", agent: false });
  const chunk = "y".repeat(1_000);
  let said = 0;
  call.write(chunk);
  const timer = setInterval(() => {
    if (++said < times) return void call.write(chunk);
    clearInterval(timer);
    call.end();
  }, everyMs);
  const end = new Promise<"whole" | "cut">((resolve) => {
    call.once("error", () => resolve("cut"));
    call.once("response", async (response) => {
      let text = "";
      for await (const part of response) text += part;
      resolve(Number(text) === times * chunk.length ? "whole" : "cut");
    });
  }).finally(() => clearInterval(timer));
  return { what: "upload", begun: once(call, "socket"), end, abandon: () => call.destroy() };
}

/** A GET whose answer comes bit by bit. */
export function answer(path: string, at: At, { times, everyMs }: Pace): LongRequest {
  const call = request({ ...at, path: `${path}?times=${times}&everyMs=${everyMs}`, agent: false });
  const end = new Promise<"whole" | "cut">((resolve) => {
    call.once("error", () => resolve("cut"));
    call.once("response", (response) => {
      response.once("error", () => resolve("cut"));
      response.resume().once("end", () => resolve(response.complete ? "whole" : "cut"));
    });
  });
  call.end();
  return { what: path, begun: once(call, "response"), end, abandon: () => call.destroy() };
}

/** An upgraded connection on which the app speaks now and then, and which it ends with a close frame. */
export function webSocket(at: At, { times, everyMs }: Pace): LongRequest {
  const call: ClientRequest = request({
    ...at,
    path: `/ws?times=${times}&everyMs=${everyMs}`,
    agent: false,
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"),
    },
  });
  call.end();
  const begun = once(call, "upgrade") as Promise<[unknown, Socket, Buffer]>;
  const end = new Promise<"whole" | "cut">((resolve) => {
    call.once("error", () => resolve("cut"));
    begun.then(
      ([, socket]) => {
        let last: Buffer = Buffer.alloc(0);
        socket.on("data", (bytes: Buffer) => {
          last = bytes;
        });
        socket.once("error", () => resolve("cut"));
        // The close frame with code 1000 is the app's own farewell.
        socket.once("close", () => resolve(last.subarray(-4).toString("hex") === "880203e8" ? "whole" : "cut"));
        socket.once("end", () => socket.end());
      },
      () => resolve("cut"),
    );
  });
  return { what: "WebSocket", begun, end, abandon: () => void begun.then(([, socket]) => socket.destroy()) };
}
