import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { ReleaseNotFoundError, ReleaseUnreachableError, SizeMismatchError } from "../../protocol/errors.ts";
import { parseObjectUrl, type Release } from "../../protocol/release.ts";

/** The bus's object store. Null: no such object. Throws when the bus is away. */
export interface ObjectSource {
  read(bucket: string, name: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null>;
}

/**
 * Opens a release's archive, whatever kind of address it has.
 * @throws ReleaseNotFoundError, ReleaseUnreachableError and SizeMismatchError, which no retry mends; anything else may pass.
 */
export async function openSource(
  release: Release,
  objects: ObjectSource,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  switch (new URL(release.url).protocol) {
    case "file:":
      return openFile(release);
    case "nats-object:":
      return openObject(release, objects, signal);
    default:
      return openHttp(release, signal);
  }
}

/** An address as people may see it: no user, no password, and no query, which carries signatures. */
export function shownUrl(url: string): string {
  const shown = new URL(url);
  if (shown.username || shown.password) shown.username = "***";
  shown.password = "";
  if (shown.search) shown.search = "?***";
  return shown.href;
}

async function openFile(release: Release): Promise<ReadableStream<Uint8Array>> {
  const path = fileURLToPath(release.url);
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT" || cause.code === "ENOTDIR") throw notFound(release, "no such file");
    throw unreachable(release, cause.message, cause);
  });
  // A FIFO or a device would be read for ever.
  if (!stats.isFile()) throw unreachable(release, "it is not a file");
  return Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
}

async function openObject(
  release: Release,
  objects: ObjectSource,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const { bucket, name } = parseObjectUrl(release.url);
  const stream = await objects.read(bucket, name, signal);
  if (!stream) throw notFound(release, "no such object");
  return stream;
}

async function openHttp(release: Release, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const url = new URL(release.url);
  // The bytes are what the digest is of: no encoding for the way.
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (url.username || url.password) {
    // fetch refuses addresses with credentials, and says them in its message.
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(credentials).toString("base64")}`;
    url.username = "";
    url.password = "";
  }
  const response = await fetch(url, { headers, signal });
  if (response.status === 200 && response.body) {
    const encoding = response.headers.get("content-encoding") ?? "identity";
    if (encoding !== "identity") throw unreachable(release, `the server sends it with content-encoding ${encoding}`);
    const length = response.headers.get("content-length");
    if (length !== null && Number(length) !== release.sizeBytes) {
      throw new SizeMismatchError(release.version, release.sizeBytes, Number(length));
    }
    return response.body;
  }
  if (response.status === 404 || response.status === 410) throw notFound(release, `status ${response.status}`);
  throw new Error(`the server answered with status ${response.status}`);
}

function notFound(release: Release, why: string): ReleaseNotFoundError {
  return new ReleaseNotFoundError(release.version, shownUrl(release.url), why);
}

function unreachable(release: Release, why: string, cause?: unknown): ReleaseUnreachableError {
  return new ReleaseUnreachableError(release.version, shownUrl(release.url), why, { cause });
}
