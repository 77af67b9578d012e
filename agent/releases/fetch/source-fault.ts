/**
 * - `passing`: worth another try.
 * - `ranges`: what it says of ranges is wrong; worth another try, from the start.
 * - `headers`: the file with the headers for it can't be used; worth another try, as somebody may be writing it.
 * - `absent`: the source says that it does not have the archive.
 * - `size`, `digest`: the source has something else under the archive's address.
 * - `unfit`: anything else that a retry does not fix.
 */
export type FaultKind = "passing" | "ranges" | "headers" | "absent" | "size" | "digest" | "unfit";

const PASSING: readonly FaultKind[] = ["passing", "ranges", "headers"];

/** What is wrong with one source, or the way to it. The message is for people: no credentials, no query strings. */
export class SourceFault extends Error {
  /** The size or digest that it has. */
  readonly actual: number | string | undefined;

  constructor(
    readonly kind: FaultKind,
    message: string,
    { actual, cause }: { actual?: number | string; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.actual = actual;
  }

  get mayPass(): boolean {
    return PASSING.includes(this.kind);
  }
}

export function otherSize(actual: number): SourceFault {
  return new SourceFault("size", `it has ${actual} bytes`, { actual });
}

export function otherDigest(actual: string): SourceFault {
  return new SourceFault("digest", `it has sha256 ${actual}`, { actual });
}

/** Whatever a source threw, as a fault. */
export function toFault(error: unknown): SourceFault {
  return error instanceof SourceFault ? error : new SourceFault("passing", reasonOf(error), { cause: error });
}

/** fetch says only "fetch failed" or "terminated"; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  return error.cause.message || (error.cause as NodeJS.ErrnoException).code || error.message;
}
