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
    super(`the routes are not used: ${why}; the last good ones stay`);
  }
}

export class RoutesStaleError extends SlotdError {
  readonly code = "ROUTES_STALE";
  constructor(
    readonly epoch: number,
    readonly applied: number,
  ) {
    super(`the routes are not used: their epoch ${epoch} is lower than ${applied}; the last good ones stay`, {
      field: "epoch",
    });
  }
}

export class MemberMalformedError extends SlotdError {
  readonly code = "MEMBER_MALFORMED";
  constructor(
    readonly key: string,
    rule: string,
  ) {
    super(`the member is not used: ${rule}`);
  }
}

export class MemberDigestError extends SlotdError {
  readonly code = "MEMBER_DIGEST";
  constructor(
    readonly key: string,
    version: string,
  ) {
    super(`the member says ${version}, but serves another release than the routes mean by it; it is not used`, {
      field: "metadata.sha256",
    });
  }
}

export class EndpointsHeldBackError extends SlotdError {
  readonly code = "ENDPOINTS_HELD_BACK";
  constructor(readonly ids: readonly string[]) {
    const some = ids.slice(0, 5).join(", ") + (ids.length > 5 ? ", …" : "");
    super(`${ids.length} endpoints vanished at once and are kept: ${some}; SIGUSR1 to slotd-edge lets them go`);
  }
}

/** The proxy answered, and did not take a table. */
export class ProxyRejectedError extends SlotdError {
  readonly code = "PROXY_REJECTED";
}

/** The proxy does not answer. */
export class ProxyDownError extends SlotdError {
  readonly code = "PROXY_DOWN";
}
