import type { Colors } from "picocolors/types.js";
import type { ReleaseStatus } from "../../../protocol/release-status.ts";
import { bytes } from "./amounts.ts";
import { age } from "./duration.ts";
import { table } from "./table.ts";
import { shorten } from "./text.ts";

const head = ["VERSION", "ROLE", "USED BY", "SIZE", "SHARED", "INSTALLED", "TREE"];
const DIGEST_SHOWN = 12;

/** The page of `slotctl releases`. */
export function releasesPage(releases: readonly ReleaseStatus[], colors: Colors, now: number): string[] {
  if (releases.length === 0) return ["no releases"];
  const rows = releases.map((release) => [
    colors.bold(shorten(release.version, 28)),
    release.role ?? "-",
    release.slots.length > 0 ? release.slots.map((slot) => `slot ${slot}`).join(", ") : colors.dim("kept"),
    bytes(release.bytes),
    release.sharedBytes === null ? "-" : bytes(release.sharedBytes),
    `${age(release.installedAt, now)} ago`,
    release.tree === null ? "-" : release.tree.slice(0, DIGEST_SHOWN),
  ]);
  return table(colors, head, rows, ["SIZE", "SHARED"]);
}
