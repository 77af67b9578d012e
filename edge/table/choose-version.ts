import type { Table } from "./table.ts";
import { soleVersion } from "./unnamed.ts";

/**
 * The version that answers a request: the named one if it has an endpoint, else the default, else the fallback.
 * @param named null if the request names no version
 * @returns null if none of them has an endpoint
 */
export function chooseVersion(table: Table, named: string | null): string | null {
  const isServed = (wanted: string | null) =>
    wanted !== null && table.versions.some(({ version, endpoints }) => version === wanted && endpoints.length > 0);
  return [named, soleVersion(table), table.fallback].find(isServed) ?? null;
}
