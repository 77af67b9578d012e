import { RoutesMalformedError } from "../../protocol/edge-errors.ts";
import { type SlotdError, toSlotdError } from "../../protocol/errors.ts";
import type { Routes } from "../../protocol/routes.ts";
import { assertSupported, decodeRoutes, type RoutesSupport } from "./decode-routes.ts";

/** Routes as they are written to disk. */
export interface KeptRoutes {
  /** Identifies the bucket that the revision belongs to. */
  bucketId: string;
  text: string;
  revision: number;
}

/** The routes in force: the last good ones. */
export class RoutesBook {
  routes: Routes | null = null;
  /**
   * KV revision of the last write of the routes in force, which the edge acknowledges. 0 if the present bucket never
   * held them, and while the edge does not implement everything that they ask for.
   */
  revision = 0;
  /** Why the value under the key is not used, or not completely; null if it is. */
  problem: SlotdError | null = null;
  private text = "";
  private bucketId = "";

  /** @param support what the edge's proxy implements */
  constructor(private readonly support: RoutesSupport) {}

  /** A listing of the bucket begins. Revisions of another bucket mean nothing in this one. */
  begin(bucketId: string): void {
    if (bucketId !== this.bucketId) this.revision = 0;
    this.bucketId = bucketId;
  }

  /**
   * Records a write of the key. Routes that can't be used leave the last good ones in force.
   * @param text null for a deletion
   * @returns whether the routes, their revision or the problem changed
   */
  recordRoutes(revision: number, text: string | null): boolean {
    // A missing key means nothing before there were routes.
    if (text === null) return this.routes !== null && this.refuse(new RoutesMalformedError("they were deleted"));
    try {
      const routes = text === this.text && this.routes ? this.routes : decodeRoutes(text, this.routes?.epoch ?? 0);
      assertSupported(routes, this.support);
      this.routes = routes;
    } catch (error) {
      return this.refuse(toSlotdError(error));
    }
    this.text = text;
    this.revision = revision;
    this.problem = null;
    return true;
  }

  private refuse(problem: SlotdError): boolean {
    const isNew = this.problem?.message !== problem.message;
    this.problem = problem;
    return isNew;
  }

  snapshot(): KeptRoutes | null {
    return this.routes && { bucketId: this.bucketId, text: this.text, revision: this.revision };
  }

  /**
   * Starts from routes that an edge of this service was using. Older edges used routes although they ignored part of
   * them: these stay in force, so that an upgrade takes nobody's routes away, but they are reported and no longer
   * acknowledged.
   */
  restore({ bucketId, text, revision }: KeptRoutes): void {
    this.bucketId = bucketId;
    try {
      this.routes = decodeRoutes(text, 0);
      this.text = text;
      assertSupported(this.routes, this.support);
      this.revision = revision;
    } catch (error) {
      this.problem = toSlotdError(error);
    }
  }
}
