import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type HaproxyConfig, haproxyConfigSchema, prepareHaproxy } from "../../../edge/proxies/haproxy/index.ts";
import type { VersionNaming } from "../../../edge/table/table.ts";
import { ServiceProcess } from "../agent/service-process.ts";
import { freePorts } from "../ports.ts";
import { type ProxyOptions, RealProxy } from "./real-proxy.ts";

const defaultNaming: VersionNaming = { header: "X-App-Version", query: null, cookie: null };

/** A real HAProxy with the base configuration of an edge. */
export type Haproxy = RealProxy<HaproxyConfig>;
export const Haproxy = { start };

async function start(options: ProxyOptions<VersionNaming, HaproxyConfig> = {}): Promise<Haproxy> {
  const { address = "127.0.0.1", naming = defaultNaming } = options;
  const port = options.port ?? ((await freePorts(1, address))[0] as number);
  const directory = mkdtempSync(join(tmpdir(), "slotd-haproxy-"));
  return RealProxy.start(directory, () => {
    chmodSync(directory, 0o755);
    const config = haproxyConfigSchema.parse({
      kind: "haproxy",
      socket: join(directory, "runtime.sock"),
      directory: join(directory, "table"),
      bind: [`${address}:${port}`],
      ...options.config,
    });
    writeFileSync(join(directory, "haproxy.cfg"), prepareHaproxy("web", config, naming));
    return { config, address, port, directory, launch: () => launch(directory, address, port, config.socket) };
  });
}

/** Rewrites the configuration file, for the next start. */
export function rewriteBase({ config }: Haproxy, rewrite: (base: string) => string): void {
  const file = join(dirname(config.directory), "haproxy.cfg");
  writeFileSync(file, rewrite(readFileSync(file, "utf8")));
}

/** Its runtime API is there a moment after its port is. */
function launch(directory: string, host: string, port: number, api: string): Promise<ServiceProcess> {
  return ServiceProcess.start(
    ["haproxy", "-db", "-f", join(directory, "haproxy.cfg")],
    [{ host, port }, { path: api }],
  );
}
