/** A slot of a host that serves a version. */
export interface Endpoint {
  /** Its key in the serverset without the service: `stage.host.slot`. Names, dots and underscores only. */
  id: string;
  /** The stage that its host belongs to. Atomic mode ignores it: endpoints of all stages get requests. */
  stage: string;
  /** An IP address. */
  address: string;
  port: number;
  /** Its ready workers; at least 1. */
  weight: number;
}

/** The endpoints of a served version, sorted by id. Empty if the routes name the version but no member serves it. */
export interface VersionEndpoints {
  version: string;
  endpoints: readonly Endpoint[];
}

/** The share of one version in the requests that name no version. */
export interface UnnamedShare {
  version: string;
  /** In parts of 10,000 (hundredths of a percent). The shares of a stage add up to 10,000. */
  share: number;
  /** The stage whose users this row is for; null: all users. */
  stage: string | null;
}

/**
 * Everything that a proxy routes by. It is a value: made by a pure function, compared and rendered.
 * A request that names a version gets it if that is one of `versions` and has an endpoint. Every other request gets the
 * version that `unnamed` gives it, or `fallback` if that version has no endpoint.
 */
export interface Table {
  service: string;
  /** Epoch of the routes; 0 before there are any. */
  epoch: number;
  /** KV revisions of the routes and of the serverset bucket that the table was made from. */
  routesRevision: number;
  serversetsRevision: number;
  /** One row in atomic mode. Empty before there are routes: then every request is answered with 503. */
  unnamed: readonly UnnamedShare[];
  /**
   * The version to use while the one that `unnamed` gives has no endpoint; null: such requests are answered with 503.
   * It is not a row of `unnamed`, because it has no share: it stands in for whichever version a request was given.
   */
  fallback: string | null;
  /** In the order of the routes' `serving`. */
  versions: readonly VersionEndpoints[];
}

/** The request and response header that names a version, and where else a request may name it. */
export interface VersionNaming {
  header: string;
  cookie: string | null;
  query: string | null;
}
