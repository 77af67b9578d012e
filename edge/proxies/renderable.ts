import { isIP } from "node:net";
import { nameSchema, versionSchema } from "../../protocol/names.ts";
import type { Table, VersionNaming } from "../table/table.ts";
import { ProxyRejectedError } from "./contract.ts";

const ID = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;
const TOKEN = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
/** More than any proxy could load. */
const MAX_ENDPOINTS = 65_536;

/**
 * Checks every text of a table before it is written into a proxy's configuration, where a quote or a newline would end
 * the value and what follows would run. The values were already checked when they were read; this check does not rely
 * on that.
 * @throws ProxyRejectedError that names the field, and shows at most 80 characters of its value
 */
export function assertRenderable(table: Table): void {
  const names = new Set<string>();
  let endpoints = 0;
  for (const [i, { version, endpoints: list }] of table.versions.entries()) {
    const at = `versions[${i}]`;
    check(`${at}.version`, version, versionSchema.safeParse(version).success && !names.has(version));
    names.add(version);
    const ids = new Set<string>();
    for (const [j, { id, address, port, weight }] of list.entries()) {
      const where = `${at}.endpoints[${j}]`;
      check(`${where}.id`, id, typeof id === "string" && id.length <= 512 && ID.test(id) && !ids.has(id));
      check(`${where}.address`, address, typeof address === "string" && isIP(address) !== 0 && !address.includes("%"));
      check(`${where}.port`, port, Number.isInteger(port) && port >= 1 && port <= 65_535);
      check(`${where}.weight`, weight, Number.isInteger(weight) && weight >= 1 && weight <= 1_000_000);
      ids.add(id);
      endpoints++;
    }
  }
  if (table.unnamed.length > 1)
    throw new ProxyRejectedError(`unnamed has ${table.unnamed.length} rows: no proxy implements shares of versions`);
  for (const [i, { version }] of table.unnamed.entries())
    check(`unnamed[${i}].version`, version, versionSchema.safeParse(version).success);
  check("fallback", table.fallback, table.fallback === null || versionSchema.safeParse(table.fallback).success);
  check("versions", `${endpoints} endpoints`, endpoints <= MAX_ENDPOINTS);
}

/** The same check for names from the edge's own configuration. */
export function assertNaming(naming: VersionNaming): void {
  check("header", naming.header, TOKEN.test(naming.header));
  check("cookie", naming.cookie, naming.cookie === null || TOKEN.test(naming.cookie));
  check("query", naming.query, naming.query === null || TOKEN.test(naming.query));
}

/** The same check for the service, which is part of the names in a configuration. */
export function assertService(service: string): void {
  check("service", service, nameSchema.safeParse(service).success);
}

function check(field: string, value: unknown, holds: boolean): void {
  if (holds) return;
  throw new ProxyRejectedError(`${field} can't be written into a configuration: ${shown(value)}`);
}

function shown(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, 80);
}
