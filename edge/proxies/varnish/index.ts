import type { Logger } from "pino";
import type { Table, VersionNaming } from "../../table/table.ts";
import type { ManagedProxy } from "../contract.ts";
import { assertNaming } from "../renderable.ts";
import type { VarnishConfig } from "./config.ts";
import { VclFiles } from "./files.ts";
import { Varnish } from "./varnish.ts";
import { renderVcl } from "./vcl.ts";

export { type VarnishConfig, varnishConfigSchema } from "./config.ts";

/** @throws ProxyRejectedError if a name in the configuration can't be written into VCL */
export function createVarnish(
  service: string,
  config: VarnishConfig,
  naming: VersionNaming,
  log: Logger,
): ManagedProxy {
  assertNaming(naming);
  return new Varnish(service, config, naming, log.child({ proxy: "varnish" }));
}

const emptyTable: Omit<Table, "service"> = {
  epoch: 0,
  routesRevision: 0,
  serversetsRevision: 0,
  unnamed: [],
  fallback: null,
  versions: [],
};

/** Returns the VCL of an empty table as text, and writes it as the VCL to start with if there is none. */
export function prepareVarnish(service: string, config: VarnishConfig, naming: VersionNaming): string {
  const text = renderVcl({ ...emptyTable, service }, naming, config);
  new VclFiles(config.directory).ensureCurrent(text);
  return text;
}
