import type { Table } from "./table.ts";
import { soleVersion } from "./unnamed.ts";

/**
 * The version that answers a request: the named one if it is served, else the default, else the fallback.
 * @param named null if the request names none
 * @returns null if nobody can answer
 */
export function chooseVersion(table: Table, named: string | null): string | null {
  const isServed = (wanted: string | null) =>
    wanted !== null && table.versions.some(({ version, endpoints }) => version === wanted && endpoints.length > 0);
  return [named, soleVersion(table), table.fallback].find(isServed) ?? null;
}
