import type { LostRoutes } from "../decisions/lost-routes.ts";

/** What is wrong, how that is known, and what to do. */
export function lostRoutesText(service: string, { live, evidence }: LostRoutes): string {
  const version = live.length === 1 ? live[0] : "LIVE";
  return (
    `the routes of ${service} are gone from the bus, and edges route by the last that they had: ${evidence.join("; ")}; ` +
    `\`publish ${service} ${version}\` again if its release is gone, too, then \`deploy ${service} ${version}\``
  );
}
