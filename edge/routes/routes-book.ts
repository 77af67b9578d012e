import { RoutesMalformedError } from "../../protocol/edge-errors.ts";
import { type SlotdError, toSlotdError } from "../../protocol/errors.ts";
import type { Routes } from "../../protocol/routes.ts";
import { decodeRoutes, type RoutesMode } from "./decode-routes.ts";

/** Routes as they are written to disk. */
export interface KeptRoutes {
  /** Of the bucket that the revision is of. */
  bucketId: string;
  text: string;
  revision: number;
}

/** The routes that hold: the last good ones. */
export class RoutesBook {
  routes: Routes | null = null;
  /** KV revision of the last write under which these routes stood; 0 where the bucket of now never held them. */
  revision = 0;
  /** Why what stands under the key now is not used; null where it is. */
  problem: SlotdError | null = null;
  private text = "";
  private bucketId = "";

  /** @param modes what the edge's proxy implements */
  constructor(private readonly modes: readonly RoutesMode[]) {}

  /** A listing of the bucket begins. Revisions of another bucket mean nothing in it. */
  begin(bucketId: string): void {
    if (bucketId !== this.bucketId) this.revision = 0;
    this.bucketId = bucketId;
  }

  /** Takes a write of the key. @returns whether there is news */
  recordRoutes(revision: number, text: string | null): boolean {
    if (text !== null && text === this.text) {
      this.problem = null;
      this.revision = revision;
      return true;
    }
    // Before there were any, none is no news.
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
