import { readHeaders } from "./headers.ts";
import type { ArchiveRequest, ArchiveStream } from "./opened.ts";
import { otherSize, SourceFault } from "./source-fault.ts";
import { requireRange, validatorOf } from "./source-range.ts";
import { followRedirects } from "./source-redirects.ts";

/** An archive from a server, resumed where the server can. @throws SourceFault; anything else may pass. */
export async function openHttp(url: string, asked: ArchiveRequest): Promise<ArchiveStream> {
  const response = await followRedirects(url, await readHeaders(asked.headersFile), wayOf(asked), asked.signal);
  switch (response.status) {
    case 200:
      return whole(response, asked);
    case 206:
      return rest(response, asked);
    case 404:
    case 410:
      throw new SourceFault("absent", `status ${response.status}`);
    case 416:
      throw new SourceFault("ranges", `the server has nothing from byte ${asked.from} on (status 416)`);
    default:
      throw new SourceFault("passing", `the server answered with status ${response.status}`);
  }
}

/** The request's headers. */
function wayOf({ from, validator }: ArchiveRequest): Record<string, string> {
  return {
    // The digest is over the plain bytes: no content encoding.
    "accept-encoding": "identity",
    ...(from > 0 && { range: `bytes=${from}-` }),
    ...(from > 0 && validator !== null && { "if-range": validator }),
  };
}

function whole(response: Response, { sizeBytes }: ArchiveRequest): ArchiveStream {
  const stream = plainBody(response);
  const length = response.headers.get("content-length");
  if (length !== null && Number(length) !== sizeBytes) throw otherSize(Number(length));
  return { stream, from: 0, to: length === null ? null : sizeBytes, validator: validatorOf(response.headers) };
}

function rest(response: Response, asked: ArchiveRequest): ArchiveStream {
  const stream = plainBody(response);
  const to = requireRange(response.headers, asked);
  return { stream, from: asked.from, to, validator: validatorOf(response.headers) };
}

function plainBody(response: Response): ReadableStream<Uint8Array> {
  const encoding = response.headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") {
    throw new SourceFault("unfit", `the server sends it with content-encoding ${encoding}`);
  }
  if (!response.body) throw new SourceFault("passing", "the server answered without a body");
  return response.body;
}
