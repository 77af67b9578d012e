import { parseObjectUrl } from "../../../protocol/release.ts";
import type { ArchiveRequest, ArchiveStream, ObjectSource } from "./opened.ts";
import { SourceFault } from "./source-fault.ts";
import { openFile } from "./source-file.ts";
import { openHttp } from "./source-http.ts";

export { shownUrl } from "./source-url.ts";

/** Opens an archive by its address, of whatever kind. @throws SourceFault; any other error may be temporary. */
export async function openSource(url: string, objects: ObjectSource, asked: ArchiveRequest): Promise<ArchiveStream> {
  switch (new URL(url).protocol) {
    case "file:":
      return openFile(url, asked);
    case "nats-object:":
      return openObject(url, objects, asked.signal);
    default:
      return openHttp(url, asked);
  }
}

async function openObject(url: string, objects: ObjectSource, signal: AbortSignal): Promise<ArchiveStream> {
  const { bucket, name } = parseObjectUrl(url);
  const stream = await objects.read(bucket, name, signal);
  if (!stream) throw new SourceFault("absent", "no such object");
  return { stream, from: 0, to: null, validator: null };
}
