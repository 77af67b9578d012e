import { RoutesMalformedError } from "../../protocol/edge-errors.ts";
import { type SlotdError, toSlotdError } from "../../protocol/errors.ts";
import type { Routes } from "../../protocol/routes.ts";
import { decodeRoutes, type RoutesMode } from "./decode-routes.ts";

/** Routes as they are written to disk. */
export interface KeptRoutes {
  /** The bucket that `revision` belongs to. */
  bucketId: string;
  text: string;
  revision: number;
}

/** The last good routes. */
export class RoutesBook {
  routes: Routes | null = null;
  /** KV revision of the last write of these routes; 0 if the current bucket never held them. */
  revision = 0;
  /** Why the current value of the key is not used; null if it is. */
  problem: SlotdError | null = null;
  private text = "";
  private bucketId = "";

  /** @param modes what the edge's proxy implements */
  constructor(private readonly modes: readonly RoutesMode[]) {}

  /** A listing of a bucket begins. Revisions of another bucket are meaningless in it. */
  begin(bucketId: string): void {
    if (bucketId !== this.bucketId) this.revision = 0;
    this.bucketId = bucketId;
  }

  /** Records a write of the key. @returns whether `routes`, `revision` or `problem` changed */
  recordRoutes(revision: number, text: string | null): boolean {
    if (text !== null && text === this.text) {
      this.problem = null;
      this.revision = revision;
      return true;
    }
    // Without earlier routes, a missing key is no problem.
    if (text === null) return this.routes !== null && this.refuse(new RoutesMalformedError("they were deleted"));
    try {
      this.routes = decodeRoutes(text, this.routes?.epoch ?? 0, this.modes);
    } catch (error) {
      return this.refuse(toSlotdError(error));
    }
    this.text = text;
    this.revision = revision;
    this.problem = null;
    return true;
  }

  private refuse(problem: SlotdError): boolean {
    const news = this.problem?.message !== problem.message;
    this.problem = problem;
    return news;
  }

  snapshot(): KeptRoutes | null {
    return this.routes && { bucketId: this.bucketId, text: this.text, revision: this.revision };
  }

  restore({ bucketId, text, revision }: KeptRoutes): void {
    this.bucketId = bucketId;
    this.recordRoutes(revision, text);
  }
}
