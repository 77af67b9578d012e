import {
  ConfigInvalidError,
  DigestMismatchError,
  ReleaseNotFoundError,
  ReleaseUnreachableError,
  SizeMismatchError,
  type SlotdError,
} from "../../../protocol/errors.ts";
import type { Archive } from "../../../protocol/release.ts";
import type { FaultKind, SourceFault } from "./source-fault.ts";
import { shownUrl } from "./source-url.ts";

/**
 * Of the faults of several sources, the one that determines the error's code: the one that another order, or another
 * host, is most likely to get past.
 */
const ORDER: readonly FaultKind[] = ["headers", "passing", "ranges", "unfit", "digest", "size", "absent"];

/** Why no source delivered an archive: names each source and its fault. */
export function fetchError(release: Archive, faults: ReadonlyMap<string, SourceFault>): SlotdError {
  const all = [...faults].sort(([, x], [, y]) => ORDER.indexOf(x.kind) - ORDER.indexOf(y.kind));
  const [url, fault] = all[0] as [string, SourceFault];
  const tried = [...faults].map(([source, { message }]) => `${shownUrl(source)}: ${message}`).join("; ");
  const alone = faults.size === 1;
  const where = alone ? shownUrl(url) : `any of its ${faults.size} addresses`;
  const why = alone ? fault.message : tried;
  const from = alone ? `from ${where}` : `tried ${tried}`;
  const { version } = release;
  switch (fault.kind) {
    case "headers":
      return new ConfigInvalidError("releases.fetch_headers_file", `can't be used: ${why}`, { cause: fault.cause });
    case "digest":
      return new DigestMismatchError(version, release.sha256, String(fault.actual), undefined, from);
    case "size":
      return new SizeMismatchError(version, release.sizeBytes, Number(fault.actual), from);
    case "absent":
      return new ReleaseNotFoundError(version, where, why);
    case "passing":
    case "ranges":
    case "unfit":
      return new ReleaseUnreachableError(version, where, why, { cause: fault.cause });
  }
}
