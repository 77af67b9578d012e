import type { Table } from "../../table/table.ts";
import { soleVersion } from "../../table/unnamed.ts";

/** The default's key. A version can't contain `:`. */
export const defaultKey = ":default";
/** Present once there are routes. It tells NO_ENDPOINT from NO_ROUTES. */
export const routedKey = ":routed";

const ROUTE = /^(v\d+)\/(.+)$/;

/**
 * Makes the map from the version that a request names to its route, `PLACE/VERSION`. Other requests get the route of
 * the default's key.
 * @param places version → place, for each version that has endpoints
 */
export function makeRoutesMap(table: Table, places: ReadonlyMap<string, string>): Map<string, string> {
  const routes = new Map([...places].map(([version, place]) => [version, `${place}/${version}`]));
  const byDefault = [soleVersion(table), table.fallback].find((version) => version !== null && places.has(version));
  if (byDefault) routes.set(defaultKey, `${places.get(byDefault)}/${byDefault}`);
  if (table.unnamed.length > 0) routes.set(routedKey, "yes");
  return routes;
}

/** Version → place according to a map, and every place that it mentions. */
export function parseRoutesMap(routes: ReadonlyMap<string, string>): {
  places: Map<string, string>;
  used: Set<string>;
} {
  const places = new Map<string, string>();
  const used = new Set<string>();
  for (const [key, route] of routes) {
    const [, place, version] = ROUTE.exec(route) ?? [];
    if (place === undefined || version === undefined) continue;
    used.add(place);
    if (key === version) places.set(version, place);
  }
  return { places, used };
}

export function sameRoutesMap(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([key, route]) => other.get(key) === route);
}

/** The map as a file for HAProxy. */
export function renderRoutesMap(routes: ReadonlyMap<string, string>): string {
  return [...routes].map(([key, route]) => `${key} ${route}\n`).join("");
}
