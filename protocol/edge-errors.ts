import { SlotdError } from "./errors.ts";

export class EdgeRunningError extends SlotdError {
  readonly code = "EDGE_RUNNING";
  constructor(path: string) {
    super(`another slotd-edge holds ${path}; stop it, or use another state directory`);
  }
}

export class EdgeStateError extends SlotdError {
  readonly code = "EDGE_STATE";
}

export class RoutesMalformedError extends SlotdError {
  readonly code = "ROUTES_MALFORMED";
  constructor(why: string) {
    super(`the routes are not used: ${why}; the last good ones stay in force`);
  }
}

export class RoutesStaleError extends SlotdError {
  readonly code = "ROUTES_STALE";
  constructor(
    readonly epoch: number,
    readonly applied: number,
  ) {
    super(`the routes are not used: their epoch ${epoch} is lower than ${applied}; the last good ones stay in force`, {
      field: "epoch",
    });
  }
}

/** The bus has lost the routes by which the edge serves. */
export class RoutesGoneError extends SlotdError {
  readonly code = "ROUTES_GONE";
  constructor(service: string) {
    super(
      `the bus has no routes for ${service} any more; the edge serves by the last known ones; publish the current default ` +
        "again and deploy it, see docs/operations.md",
    );
  }
}

/** There were never any routes, as far as the edge knows. */
export class NoRoutesError extends SlotdError {
  readonly code = "NO_ROUTES";
  constructor(service: string) {
    super(`the bus has no routes for ${service}; every request is answered with 503 until the first deploy`);
  }
}

/** The routes make a version the default that nobody serves, as far as the edge can tell. */
export class RoutesUnservedError extends SlotdError {
  readonly code = "ROUTES_UNSERVED";
  /** @param ignored the members that the edge ignores, in words; empty without any */
  constructor(version: string, ignored: string) {
    super(
      `the routes are not used: the edge has no endpoint of their default ${version}; the last good ones stay in force; ` +
        (ignored || `no host has registered ${version}`),
      { field: "default" },
    );
  }
}

/** The routes ask for something that this edge, or its proxy, does not implement. */
export class RoutesUnsupportedError extends SlotdError {
  readonly code = "ROUTES_UNSUPPORTED";
  /**
   * @param asked what the field asks for, such as `mode "rolling"`
   * @param supported what the edge implements instead
   */
  constructor(field: string, asked: string, supported: string) {
    super(
      `the routes are not used: this edge's proxy does not implement ${asked}, only ${supported}; the last good ones ` +
        "stay in force; upgrade slotd-edge, or write routes that it implements",
      { field },
    );
  }
}

export class MemberMalformedError extends SlotdError {
  readonly code = "MEMBER_MALFORMED";
  constructor(
    readonly key: string,
    rule: string,
  ) {
    super(`the member is ignored: ${rule}`);
  }
}

/** A member is well-formed, and claims more than the edge's configuration grants to its host. */
export class MemberRefusedError extends SlotdError {
  readonly code = "MEMBER_REFUSED";
  constructor(
    readonly key: string,
    rule: string,
  ) {
    super(`the member is ignored: ${rule}`);
  }
}

export class MemberDigestError extends SlotdError {
  readonly code = "MEMBER_DIGEST";
  constructor(
    readonly key: string,
    version: string,
  ) {
    super(`the member claims to serve ${version}, but its release differs from the one in the routes; it is ignored`, {
      field: "metadata.sha256",
    });
  }
}

export class EndpointsHeldBackError extends SlotdError {
  readonly code = "ENDPOINTS_HELD_BACK";
  constructor(readonly ids: readonly string[]) {
    const some = ids.slice(0, 5).join(", ") + (ids.length > 5 ? ", …" : "");
    super(
      `${ids.length} endpoints vanished at once and are held back: ${some}; if they are really gone, send SIGUSR1 to slotd-edge`,
    );
  }
}

/** The proxy answered, but rejected a table. */
export class ProxyRejectedError extends SlotdError {
  readonly code = "PROXY_REJECTED";
}

/** The proxy does not answer. */
export class ProxyDownError extends SlotdError {
  readonly code = "PROXY_DOWN";
}
