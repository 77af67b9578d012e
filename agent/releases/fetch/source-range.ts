import type { ArchiveRequest } from "./opened.ts";
import { otherSize, SourceFault } from "./source-fault.ts";

const STRONG_ETAG = /^"[\x21\x23-\x7e\x80-\xff]*"$/;
const CONTENT_RANGE = /^bytes +(\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i;

/** A validator that proves that the rest belongs to the earlier part (RFC 9110, 13.1.5); a weak ETag does not. */
export function validatorOf(headers: Headers): string | null {
  const etag = headers.get("etag");
  return etag !== null && STRONG_ETAG.test(etag) ? etag : headers.get("last-modified");
}

/**
 * Where the part that a 206 announces ends. @throws SourceFault unless it begins where it was asked to, within the
 * archive.
 */
export function requireRange(headers: Headers, { from, sizeBytes, validator }: ArchiveRequest): number {
  const text = headers.get("content-range");
  if (from === 0) throw new SourceFault("ranges", "the server sent a part where the whole was asked for");
  if (text === null) throw new SourceFault("ranges", "the server sent a part without saying which");
  const [, first, last, total] = CONTENT_RANGE.exec(text) ?? [];
  if (total !== undefined && total !== "*" && Number(total) !== sizeBytes) throw otherSize(Number(total));
  const to = Number(last) + 1;
  if (Number(first) !== from || !(to > from && to <= sizeBytes)) {
    const shown = JSON.stringify(text.slice(0, 80));
    throw new SourceFault("ranges", `bytes from ${from} on were asked for, but the server sent content-range ${shown}`);
  }
  const etag = headers.get("etag");
  if (validator?.startsWith('"') && etag !== null && etag !== validator) {
    throw new SourceFault("ranges", "the server sent a part of something else than before");
  }
  return to;
}
