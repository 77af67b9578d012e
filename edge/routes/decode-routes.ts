import { decode } from "../../protocol/decode.ts";
import { RoutesMalformedError, RoutesStaleError, RoutesUnsupportedError } from "../../protocol/edge-errors.ts";
import { type Routes, routesSchema } from "../../protocol/routes.ts";

/** The ways of routing that a proxy implements. */
export type RoutesMode = Routes["mode"];

/**
 * Decodes the value of the routes' key, which may be any text.
 * @param epoch the lowest accepted epoch: routes with a lower one come from a controller that another one has overtaken
 * @param modes what the edge's proxy implements. Other modes are refused: an edge must not acknowledge what its proxy
 * does not do.
 * @throws RoutesMalformedError, RoutesStaleError, RoutesUnsupportedError
 */
export function decodeRoutes(text: string, epoch: number, modes: readonly RoutesMode[]): Routes {
  const decoded = decode(routesSchema, text);
  if ("broken" in decoded) throw new RoutesMalformedError(decoded.broken);
  const routes = decoded.value;
  if (routes.epoch < epoch) throw new RoutesStaleError(routes.epoch, epoch);
  if (!modes.includes(routes.mode)) throw new RoutesUnsupportedError("mode", `"${routes.mode}"`, modes.join(", "));
  if (routes.stages !== undefined) throw new RoutesUnsupportedError("stages", "at all", "routes without stages");
  return routes;
}
