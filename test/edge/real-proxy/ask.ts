import { type Agent, type IncomingMessage, request } from "node:http";
import { PATIENCE_MS } from "../../support/until.ts";
import type { Said } from "./endpoint.ts";

export interface Answer {
  status: number;
  /** The version that the proxy says the response came from. */
  named: string | undefined;
  headers: IncomingMessage["headers"];
  body: string;
}

export interface Question {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  agent?: Agent | undefined;
}

/** Sends one request, without retries. */
export function ask(url: string, { path = "/", method = "GET", headers = {}, body, agent }: Question = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const call = request(new URL(path, url), { method, headers, agent, timeout: PATIENCE_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (bytes: Buffer) => chunks.push(bytes)).on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          named: response.headers["x-app-version"] as string | undefined,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    call.on("error", reject).on("timeout", () => call.destroy(new Error("no answer in 30 s")));
    call.end(body);
  });
}

export const said = ({ body }: Answer) => JSON.parse(body) as Said;
