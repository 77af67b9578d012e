import type { Logger } from "pino";
import type { VersionNaming } from "../../table/table.ts";
import type { ManagedProxy } from "../contract.ts";
import { assertNaming } from "../renderable.ts";
import { renderHaproxyBase } from "./base.ts";
import type { HaproxyConfig } from "./config.ts";
import { ensureTableFiles } from "./files.ts";
import { Haproxy } from "./haproxy.ts";

export { type HaproxyConfig, haproxyConfigSchema } from "./config.ts";
export { renderHaproxyBase as renderBase };

export function createHaproxy(
  service: string,
  config: HaproxyConfig,
  naming: VersionNaming,
  log: Logger,
): ManagedProxy {
  assertNaming(naming);
  return new Haproxy(service, config, log.child({ proxy: "haproxy" }));
}

/** Returns the base configuration as text, and creates missing files that it refers to, for an empty table. */
export function prepareHaproxy(service: string, config: HaproxyConfig, naming: VersionNaming): string {
  ensureTableFiles(config.directory, service);
  return renderHaproxyBase(service, config, naming);
}
