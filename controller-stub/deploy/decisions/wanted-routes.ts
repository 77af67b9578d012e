import type { RunningDeploy } from "../../../protocol/deploy.ts";

/** What a step wants the routes to be. */
export interface WantedRoutes {
  default: string;
  serving: readonly string[];
  /** Digests to note, by version. Those already noted stay for the versions in `serving` and `keep`. */
  digests?: Readonly<Record<string, string>>;
  keep?: readonly string[];
  /** Write them even if they are the same: every edge acknowledges a write, and so says which members it knows. */
  anew?: boolean;
}

type Facts = Pick<RunningDeploy, "from" | "withdrawn" | "version" | "release">;

/**
 * While hosts are changed: what was served, without the versions that make room. Null in a fleet that served nothing.
 */
export function routesDuring({ from, withdrawn, ...rest }: Facts): WantedRoutes | null {
  if (from.default === null) return null;
  const serving = from.serving.filter((each) => !withdrawn.includes(each));
  return { default: from.default, serving, ...digests({ from, withdrawn, ...rest }) };
}

/** The new version joins. Null in a fleet that served nothing: the switch writes its first routes. */
export function routesOffered(deploy: Facts): WantedRoutes | null {
  const during = routesDuring(deploy);
  return during && { ...during, serving: withVersion(during.serving, deploy.version) };
}

/** The new version is the default. */
export function routesSwitched(deploy: Facts): WantedRoutes {
  // Without a default there may be versions that edges still serve: after the bus has lost its data.
  const serving = withVersion(routesDuring(deploy)?.serving ?? deploy.from.serving, deploy.version);
  return { default: deploy.version, serving, ...digests(deploy) };
}

/** As they were before the deploy. Null in a fleet that served nothing. */
export function routesBefore(deploy: Facts): WantedRoutes | null {
  const { from } = deploy;
  return from.default === null ? null : { default: from.default, serving: from.serving, ...digests(deploy) };
}

function withVersion(serving: readonly string[], version: string): string[] {
  return serving.includes(version) ? [...serving] : [...serving, version];
}

/** Digests of versions that may come back are kept until the deploy is forgotten. */
function digests({ from, version, release }: Facts) {
  return { digests: { [version]: release.sha256 }, keep: [...from.serving, version] };
}
