import type { Logger } from "pino";
import type { Config } from "../config/schema.ts";
import type { ManagedProxy as TableProxy } from "./contract.ts";

/** The proxy that the configuration names. Only that one's program is loaded. */
export async function createProxy({ proxy, naming }: Config, log: Logger): Promise<TableProxy> {
  const { header, cookie = null, query = null } = naming;
  const names = { header, cookie, query };
  switch (proxy.kind) {
    case "builtin":
      return (await import("./builtin/index.ts")).createBuiltin(proxy, names, log);
    case "varnish":
      return (await import("./varnish/index.ts")).createVarnish(proxy, names, log);
    case "haproxy":
      return (await import("./haproxy/index.ts")).createHaproxy(proxy, names, log);
  }
}
