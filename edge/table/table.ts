/** One slot of one host that serves a version. */
export interface Endpoint {
  /** Its key in the serverset, less the service: `stage.host.slot`. Names, dots and underscores only. */
  id: string;
  /** An IP address. */
  address: string;
  port: number;
  /** Its ready workers; at least 1. */
  weight: number;
}

/** The endpoints of a version that is served, sorted by id. Empty where the routes name it and nobody serves it. */
export interface VersionEndpoints {
  version: string;
  endpoints: readonly Endpoint[];
}

/**
 * What a proxy is to run with, whole. It is a value: made by a pure function, compared, written to disk, rendered.
 * A request gets the version that it names where that is one of `versions` and has an endpoint, else `default`, else `fallback`.
 */
export interface Table {
  service: string;
  /** Epoch of the routes; 0 before there are any. */
  epoch: number;
  /** KV revisions of the routes and of the serverset bucket that the table was made from. */
  routesRevision: number;
  serversetsRevision: number;
  /** Null before there are routes: then every request is answered with 503. */
  default: string | null;
  /** Whom to ask where nobody serves the default; null where that is answered with 503. */
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
