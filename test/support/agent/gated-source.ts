import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Release } from "../../../protocol/release.ts";

/** A source of releases that sends half of an archive, and the rest when it is told to. */
export interface GatedSource {
  /** The same release, from here. */
  serve(release: Release): Release;
  /** How many requests for archives came in. */
  readonly requests: number;
  /** Sends the rest of all archives that are on their way, and all of those to come. */
  open(): void;
  close(): Promise<void>;
}

export async function startGatedSource(): Promise<GatedSource> {
  const archives = new Map<string, Buffer>();
  const waiting: (() => void)[] = [];
  let isOpen = false;
  let requests = 0;
  const send = (bytes: Buffer, response: ServerResponse) => {
    const half = Math.floor(bytes.length / 2);
    response.writeHead(200, { "content-length": bytes.length });
    response.write(bytes.subarray(0, half));
    const rest = () => response.end(bytes.subarray(half));
    if (isOpen) rest();
    else waiting.push(rest);
  };
  const server = createServer((request, response) => {
    requests++;
    const bytes = archives.get(request.url ?? "");
    if (bytes) send(bytes, response);
    else response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    get requests() {
      return requests;
    },
    serve(release) {
      const path = `/${archives.size}/${release.version}`;
      archives.set(path, readFileSync(fileURLToPath(release.url)));
      return { ...release, url: `http://127.0.0.1:${port}${path}` };
    },
    open() {
      isOpen = true;
      for (const rest of waiting.splice(0)) rest();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
