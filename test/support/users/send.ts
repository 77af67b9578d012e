import { type Agent, type IncomingHttpHeaders, request } from "node:http";

const TIMEOUT_MS = 10_000;

export interface Asked {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  /** Whose connections are kept; false: a new one, for this request alone. */
  agent: Agent | false;
  body?: Buffer;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/**
 * One request, tried once. Rejects where no whole answer came; the message tells whether the connection had been used
 * before.
 */
export function send({ method, url, headers, agent, body }: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new Error(`${error.code ?? error.message} on a ${outgoing.reusedSocket ? "kept" : "new"} connection`));
    const all = body === undefined ? headers : { ...headers, "content-length": String(body.length) };
    const outgoing = request(url, { method, headers: all, agent, timeout: TIMEOUT_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("error", fail);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    outgoing.once("error", fail);
    outgoing.end(body);
  });
}
