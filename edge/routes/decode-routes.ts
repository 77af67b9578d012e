import { decode } from "../../protocol/decode.ts";
import { RoutesMalformedError, RoutesStaleError, RoutesUnsupportedError } from "../../protocol/edge-errors.ts";
import { type Routes, routesSchema } from "../../protocol/routes.ts";

/** Which routes a proxy implements. */
export interface RoutesSupport {
  modes: readonly Routes["mode"][];
  /** Whether it spreads users over stages. */
  stages: boolean;
}

/**
 * Decodes the value under the routes' key, which may be anything.
 * @param epoch the lowest that is accepted: a lower one comes from a controller that another one has overtaken
 * @throws RoutesMalformedError, RoutesStaleError
 */
export function decodeRoutes(text: string, epoch: number): Routes {
  const decoded = decode(routesSchema, text);
  if ("broken" in decoded) throw new RoutesMalformedError(decoded.broken);
  if (decoded.value.epoch < epoch) throw new RoutesStaleError(decoded.value.epoch, epoch);
  return decoded.value;
}

/**
 * An edge must not acknowledge what its proxy does not do.
 * @throws RoutesUnsupportedError naming the field
 */
export function assertSupported({ mode, stages }: Routes, support: RoutesSupport): void {
  if (!support.modes.includes(mode))
    throw new RoutesUnsupportedError("mode", `mode "${mode}"`, `mode ${support.modes.map(quoted).join(" or ")}`);
  if (stages !== undefined && !support.stages)
    throw new RoutesUnsupportedError("stages", "stages", "routes without stages");
}

const quoted = (text: string) => `"${text}"`;
