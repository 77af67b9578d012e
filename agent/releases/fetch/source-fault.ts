/**
 * - `passing`: temporary; worth a retry.
 * - `ranges`: wrong answers to range requests; worth a retry from the start.
 * - `headers`: the file of headers can't be used; worth a retry, because it may be being written.
 * - `absent`: the source says that it does not have the archive.
 * - `size`, `digest`: the source has something else under the archive's address.
 * - `unfit`: anything else that a retry does not fix.
 */
export type FaultKind = "passing" | "ranges" | "headers" | "absent" | "size" | "digest" | "unfit";

const PASSING: readonly FaultKind[] = ["passing", "ranges", "headers"];

/** A fault of one source, or of the way to it. The message contains no credentials and no query strings. */
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

/** Any error of a source, as a fault. */
export function toFault(error: unknown): SourceFault {
  return error instanceof SourceFault ? error : new SourceFault("passing", reasonOf(error), { cause: error });
}

/** fetch says only "fetch failed" or "terminated"; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  return error.cause.message || (error.cause as NodeJS.ErrnoException).code || error.message;
}
