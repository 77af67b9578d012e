import { NoRoutesError, RoutesGoneError, RoutesUnservedError } from "../../protocol/edge-errors.ts";
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

/** Routes that were read, with the KV revision of their write. */
interface ReadRoutes {
  routes: Routes;
  text: string;
  revision: number;
}

/** The routes in force: the last good ones whose default somebody served. */
export class RoutesBook {
  routes: Routes | null = null;
  /**
   * KV revision of the last write of the routes in force, which the edge acknowledges. 0 if the present bucket never
   * held them, and while the edge does not implement everything that they ask for.
   */
  revision = 0;
  /** Routes with another default, until somebody serves it: an edge must not send its users where nobody is. */
  private candidate: ReadRoutes | null = null;
  /** Why the value under the key is not used, or not completely; null if it is, or may be. */
  private refusal: SlotdError | null = null;
  /** Why the candidate is not in force; null if there is none, or it was not judged yet. */
  private unserved: SlotdError | null = null;
  private text = "";
  private bucketId = "";

  /** @param support what the edge's proxy implements */
  constructor(
    private readonly service: string,
    private readonly support: RoutesSupport,
  ) {}

  /** The routes that were read last, in force or waiting for somebody who serves them; null if there are none. */
  get newest(): Routes | null {
    return this.candidate?.routes ?? this.routes;
  }

  /** Why the value under the key is not in force, or not completely; null if it is. */
  get problem(): SlotdError | null {
    return this.refusal ?? this.unserved;
  }

  /** A listing of the bucket begins. Revisions of another bucket mean nothing in this one. */
  begin(bucketId: string): void {
    if (bucketId !== this.bucketId) {
      this.revision = 0;
      this.setCandidate(null);
    }
    this.bucketId = bucketId;
  }

  /**
   * Records a write of the key. Routes that can't be used leave the last good ones in force.
   * @param text null for a deletion
   * @returns whether the routes, their revision or the problem changed
   */
  recordRoutes(revision: number, text: string | null): boolean {
    if (text === null) return this.recordAbsence();
    try {
      const floor = (this.candidate?.routes ?? this.routes)?.epoch ?? 0;
      const isInForce = text === this.text && this.candidate === null;
      const routes = (isInForce && this.routes) || decodeRoutes(text, floor);
      assertSupported(routes, this.support);
      this.refusal = null;
      this.setCandidate({ routes, text, revision });
      if (routes.default === this.routes?.default) this.adopt();
    } catch (error) {
      return this.refuse(toSlotdError(error));
    }
    return true;
  }

  /** The bucket has no routes. @returns whether that is new */
  recordAbsence(): boolean {
    this.setCandidate(null);
    return this.refuse(this.routes ? new RoutesGoneError(this.service) : new NoRoutesError(this.service));
  }

  /**
   * Puts new routes in force if somebody serves their default; otherwise they wait. What is in force stays so, whoever
   * serves it: users of a version that is lost are not helped by older routes.
   * @param isServed whether the edge has an endpoint that these routes make part of the default
   * @param ignored says which members the edge ignores, for the message
   */
  settle(isServed: (routes: Routes) => boolean, ignored: () => string): void {
    if (this.candidate === null) return;
    const { routes } = this.candidate;
    if (isServed(routes)) this.adopt();
    else this.unserved = new RoutesUnservedError(routes.default, ignored());
  }

  private adopt(): void {
    if (this.candidate === null) return;
    const { routes, text, revision } = this.candidate;
    this.routes = routes;
    this.text = text;
    this.revision = revision;
    this.setCandidate(null);
  }

  private setCandidate(candidate: ReadRoutes | null): void {
    this.candidate = candidate;
    this.unserved = null;
  }

  private refuse(problem: SlotdError): boolean {
    const isNew = this.refusal?.message !== problem.message;
    this.refusal = problem;
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
      this.refusal = toSlotdError(error);
    }
  }
}
