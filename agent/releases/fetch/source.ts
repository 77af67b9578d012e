import { parseObjectUrl } from "../../../protocol/release.ts";
import { SourceFault } from "./source-fault.ts";
import { openFile } from "./source-file.ts";
import { openHttp } from "./source-http.ts";

export { shownUrl } from "./source-url.ts";

/** The bus's object store. Null: no such object. Throws when the bus is away. */
export interface ObjectSource {
  read(bucket: string, name: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null>;
}

/** What is asked of a source. */
export interface Asked {
  /** What the whole archive has. */
  sizeBytes: number;
  /** The bytes before are here. A source may begin at 0 all the same. */
  from: number;
  /** What this very source said of what it sent before, for If-Range. */
  validator: string | null;
  headersFile: string | null;
  signal: AbortSignal;
}

/** An archive on its way. */
export interface Opened {
  stream: ReadableStream<Uint8Array>;
  /** Where it begins: where it was asked to, or 0. */
  from: number;
  /** Where it said that it ends; null: it did not say. */
  to: number | null;
  /** See `Asked`. */
  validator: string | null;
}

/** Opens an archive's address, of whatever kind. @throws SourceFault; anything else may pass. */
export async function openSource(url: string, objects: ObjectSource, asked: Asked): Promise<Opened> {
  switch (new URL(url).protocol) {
    case "file:":
      return openFile(url, asked);
    case "nats-object:":
      return openObject(url, objects, asked.signal);
    default:
      return openHttp(url, asked);
  }
}

async function openObject(url: string, objects: ObjectSource, signal: AbortSignal): Promise<Opened> {
  const { bucket, name } = parseObjectUrl(url);
  const stream = await objects.read(bucket, name, signal);
  if (!stream) throw new SourceFault("absent", "no such object");
  return { stream, from: 0, to: null, validator: null };
}
