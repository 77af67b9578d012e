import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareVarnish, type VarnishConfig, varnishConfigSchema } from "../../../edge/proxies/varnish/index.ts";
import type { VersionNaming } from "../../../edge/table/table.ts";
import { ServiceProcess } from "../agent/service-process.ts";
import { freePorts } from "../ports.ts";
import { type ProxyOptions, RealProxy } from "./real-proxy.ts";

const defaultNaming: VersionNaming = { header: "X-App-Version", query: null, cookie: null };

/** A real varnishd that starts with the VCL of an edge. */
export type Varnish = RealProxy<VarnishConfig>;
export const Varnish = { start };

async function start(options: ProxyOptions<VersionNaming, VarnishConfig> = {}): Promise<Varnish> {
  const { address = "127.0.0.1", naming = defaultNaming } = options;
  const port = options.port ?? ((await freePorts(1, address))[0] as number);
  const [cliPort] = await freePorts(1);
  const directory = mkdtempSync(join(tmpdir(), "slotd-varnish-"));
  return RealProxy.start(directory, () => {
    // varnishd's compiler runs as a user of its own, and has to read the VCL.
    chmodSync(directory, 0o755);
    const secret = join(directory, "secret");
    writeFileSync(secret, randomBytes(32).toString("hex"), { mode: 0o600 });
    const config = varnishConfigSchema.parse({
      kind: "varnish",
      port: cliPort,
      secret_file: secret,
      directory: join(directory, "vcl"),
      ...options.config,
    });
    prepareVarnish("web", config, naming);
    return { config, address, port, directory, launch: () => launch(config, directory, address, port) };
  });
}

async function launch(config: VarnishConfig, directory: string, host: string, port: number): Promise<ServiceProcess> {
  const options = {
    "-n": join(directory, "work"),
    "-a": `${host}:${port}`,
    "-T": `${config.host}:${config.port}`,
    "-S": config.secret_file as string,
    "-f": join(config.directory, "current.vcl"),
    "-s": "malloc,64M",
  };
  const parameters = [
    // An endpoint must not be the one that closes an idle connection: it might do so just as a request is sent.
    "backend_idle_timeout=4",
    "pipe_timeout=3600",
    "cc_command=exec cc -O0 -w -pthread -fpic -shared -Wl,-x -o %o %s",
  ];
  const args = [...Object.entries(options).flat(), ...parameters.flatMap((parameter) => ["-p", parameter])];
  return ServiceProcess.start(
    ["varnishd", "-F", ...args],
    [
      { host: config.host, port: config.port },
      { host, port },
    ],
  );
}
