/** A pax extended header that breaks the format. */
export class PaxError extends Error {}

/**
 * The records of a pax extended header: `LENGTH KEY=VALUE\n`, LENGTH counting the whole record in bytes. Values may
 * hold anything, including newlines and NULs, so records are delimited by their lengths. Bytes that are not UTF-8
 * become U+FFFD.
 * @throws PaxError
 */
export function parsePax(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(" ", at);
    const digits = space === -1 ? "" : body.toString("latin1", at, space);
    const end = at + Number(digits);
    if (!/^[1-9][0-9]{0,6}$/.test(digits) || end > body.length || end <= space + 1 || body[end - 1] !== 0x0a) {
      throw new PaxError("a pax header has a record of a wrong length");
    }
    const record = body.subarray(space + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1) throw new PaxError("a pax header has a record without a key");
    records.set(record.toString("utf8", 0, equals), record.toString("utf8", equals + 1));
    at = end;
  }
  return records;
}
