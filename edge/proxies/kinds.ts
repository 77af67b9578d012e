import type { Logger } from "pino";
import type { z } from "zod";
import type { RoutesSupport } from "../routes/decode-routes.ts";
import type { VersionNaming } from "../table/table.ts";
import { builtinConfigSchema } from "./builtin/config.ts";
import type { ManagedProxy } from "./contract.ts";
import { haproxyConfigSchema } from "./haproxy/config.ts";
import { varnishConfigSchema } from "./varnish/config.ts";

/** A proxy that sends every request without a named version to one version. */
const ATOMIC_ONLY: RoutesSupport = { modes: ["atomic"], stages: false };

/** The configuration to start a proxy with that runs as its own service. */
export interface BaseConfiguration<Settings> {
  /** The directory with the files that the proxy reads when it starts. */
  directory(settings: Settings): string;
  /** Returns the proxy's configuration as text, and creates missing files that it refers to, for an empty table. */
  prepare(service: string, settings: Settings, naming: VersionNaming): Promise<string>;
}

/** All that slotd-edge needs to know about a kind of proxy. Its code is loaded only when it is used. */
interface ProxyKind<Schema extends z.ZodType> {
  /** Its `[proxy]` table in the configuration file. */
  schema: Schema;
  /**
   * The routes that it implements. An edge refuses others, so that it never acknowledges what its proxy does not do.
   */
  routes: RoutesSupport;
  create(service: string, settings: z.infer<Schema>, naming: VersionNaming, log: Logger): Promise<ManagedProxy>;
  /** Null if the proxy runs inside slotd-edge. */
  base: BaseConfiguration<z.infer<Schema>> | null;
}

function kind<Schema extends z.ZodType>(row: ProxyKind<Schema>): ProxyKind<Schema> {
  return row;
}

/** One row per kind of proxy, under its name in the configuration and in the edge's status. */
export const proxyKinds = {
  builtin: kind({
    schema: builtinConfigSchema,
    routes: ATOMIC_ONLY,
    create: async (_, ...given) => (await import("./builtin/index.ts")).createBuiltin(...given),
    base: null,
  }),
  varnish: kind({
    schema: varnishConfigSchema,
    routes: ATOMIC_ONLY,
    create: async (...given) => (await import("./varnish/index.ts")).createVarnish(...given),
    base: {
      directory: ({ directory }) => directory,
      prepare: async (...given) => (await import("./varnish/index.ts")).prepareVarnish(...given),
    },
  }),
  haproxy: kind({
    schema: haproxyConfigSchema,
    routes: ATOMIC_ONLY,
    create: async (...given) => (await import("./haproxy/index.ts")).createHaproxy(...given),
    base: {
      directory: ({ directory }) => directory,
      prepare: async (...given) => (await import("./haproxy/index.ts")).prepareHaproxy(...given),
    },
  }),
};

type Schemas = (typeof proxyKinds)[keyof typeof proxyKinds]["schema"];

/** The schemas for `[proxy]`; its `kind` selects one. */
export const proxySchemas = Object.values(proxyKinds).map(({ schema }) => schema) as [Schemas, ...Schemas[]];
export type ProxySettings = z.infer<Schemas>;

/** The row for the proxy that the settings name. */
export function kindOf(settings: ProxySettings): ProxyKind<z.ZodType<ProxySettings>> {
  return proxyKinds[settings.kind] as unknown as ProxyKind<z.ZodType<ProxySettings>>;
}
