import { PretendFleet, type PretendOptions } from "../../../../test/support/pretend/fleet.ts";
import type { FromPretend, ToPretend } from "./pretend-process.ts";

// Hosts, or edges, that pretend, in a process of their own: what is measured does not wait for their turn.
const wanted = JSON.parse(process.argv[2] as string) as PretendOptions[];
const fleets: PretendFleet[] = [];
for (const options of wanted) fleets.push(await PretendFleet.start(options));

process.on("message", (_question: ToPretend) => {
  tell({ kind: "violations", violations: fleets.flatMap(({ violations }) => violations) });
});
// Nothing is left to do for whom it is done.
process.on("disconnect", () => process.exit(1));
tell({ kind: "ready" });

function tell(message: FromPretend): void {
  process.send?.(message);
}
