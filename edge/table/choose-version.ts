import type { Table } from "./table.ts";

/**
 * The version that answers a request: the one that it names where that is served, else the default, else the fallback.
 * @param named null where it names none
 * @returns null where nobody can answer
 */
export function chooseVersion(table: Table, named: string | null): string | null {
  const isServed = (wanted: string | null) =>
    wanted !== null && table.versions.some(({ version, endpoints }) => version === wanted && endpoints.length > 0);
  return [named, table.default, table.fallback].find(isServed) ?? null;
}
