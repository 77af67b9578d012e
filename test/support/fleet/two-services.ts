import { execFile } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ServiceProcess } from "../agent/service-process.ts";
import { type NatsServer, startNats } from "../nats/server.ts";
import { freePorts } from "../ports.ts";
import { repository } from "../release.ts";
import { PATIENCE_MS, until } from "../until.ts";

const program = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const CONTROLLER = program("controller-stub/main.js");
const AGENT = program("agent/main.js");
const EDGE = program("edge/main.js");

export type Service = "shop" | "blog";
export const SERVICES: readonly Service[] = ["shop", "blog"];
/** Other than what the example names, so that nothing works by a default. */
const ADDRESS = "127.83.9.1";
/** A test has fewer users to wait for than a site. */
const HASTE = `
[readiness]
hold_ms = 50

[drain]
pause_ms = 50
quiet_ms = 200
edges_timeout_ms = 5_000
`;

/** Both services of examples/two-services, with the example's own files: a real bus, agents, edges and proxy. */
export class TwoServices {
  private readonly edges = new Map<Service, ServiceProcess>();
  private readonly agents: ServiceProcess[] = [];
  private proxy: ServiceProcess | undefined;

  private constructor(
    readonly kind: "haproxy" | "varnish",
    private readonly nats: NatsServer,
    private readonly directory: string,
    readonly port: number,
    private readonly cliPort: number,
  ) {}

  static async start(kind: "haproxy" | "varnish"): Promise<TwoServices> {
    const directory = mkdtempSync(join(tmpdir(), "slotd-two-"));
    const [port, cliPort] = (await freePorts(2, ADDRESS)) as [number, number];
    const two = new TwoServices(kind, await startNats(), directory, port, cliPort);
    try {
      await two.configure();
      for (const service of SERVICES) await two.startAgent(service);
      for (const service of SERVICES) await two.renderBase(service);
      await two.startProxy();
      for (const service of SERVICES) await two.startEdge(service);
    } catch (error) {
      await two.close();
      throw error;
    }
    return two;
  }

  readonly address = ADDRESS;

  get url(): string {
    return `http://${ADDRESS}:${this.port}`;
  }

  /** Publishes a version of the example app, and deploys it. @returns what the controller says */
  async deploy(service: Service, version: string): Promise<string> {
    await this.controller("publish", service, version, join(this.directory, "hello.tar.gz"));
    return this.controller("deploy", service, version);
  }

  async startEdge(service: Service): Promise<void> {
    const edge = await this.run([EDGE, "--config", join(this.directory, this.kind, `${service}.toml`)]);
    this.edges.set(service, edge);
    await until(`${service}'s edge is on the bus`, async () =>
      (await this.controller("edges", service)).includes("laptop"),
    );
  }

  async killEdge(service: Service): Promise<void> {
    await this.edges.get(service)?.end("SIGKILL");
  }

  /** HAProxy: a new process takes over, and reads its files. Varnish: varnishd ends and starts. */
  async restartProxy(): Promise<void> {
    const { proxy } = this;
    if (proxy === undefined) throw new Error("no proxy runs");
    if (this.kind === "haproxy") {
      const reloads = () => proxy.said.split("Loading success").length;
      const before = reloads();
      process.kill(proxy.pid, "SIGUSR2");
      await until("HAProxy was reloaded", () => reloads() > before);
    } else {
      await proxy.end("SIGTERM");
      await this.startProxy();
    }
  }

  async close(): Promise<void> {
    for (const agent of this.agents) await agent.end("SIGTERM", PATIENCE_MS);
    for (const edge of this.edges.values()) await edge.end("SIGTERM");
    await this.proxy?.end("SIGTERM");
    await this.nats.stop();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** A copy of the example, with addresses, ports and a directory of this test. */
  private async configure(): Promise<void> {
    chmodSync(this.directory, 0o755);
    cpSync(join(repository, "examples/two-services"), this.directory, { recursive: true });
    const slots = await freePorts(4, ADDRESS);
    const names: Record<string, string> = {
      "/tmp/two-services": this.directory,
      "127.0.0.1:4222": `127.0.0.1:${this.nats.port}`,
      "127.0.0.1:8080": `${ADDRESS}:${this.port}`,
      'bind = "127.0.0.1"': `bind = "${ADDRESS}"`,
      // On a busy machine an app may take a while to answer.
      'path = "/"': 'path = "/"\ntimeout_ms = 30_000',
      '"node"': JSON.stringify(process.execPath),
      6082: String(this.cliPort),
      ...Object.fromEntries([8100, 8101, 8200, 8201].map((port, i) => [port, String(slots[i])])),
    };
    for (const name of readdirSync(this.directory, { recursive: true, encoding: "utf8" })) {
      if (!/\.(toml|cfg|vcl|cli)$/.test(name)) continue;
      let text = readFileSync(join(this.directory, name), "utf8");
      for (const [from, to] of Object.entries(names)) text = text.replaceAll(from, to);
      writeFileSync(join(this.directory, name), dirname(name) === "." ? text + HASTE : text);
    }
    writeFileSync(join(this.directory, "secret"), "of the test", { mode: 0o600 });
    const app = join(repository, "examples/hello");
    await promisify(execFile)("tar", ["-czf", join(this.directory, "hello.tar.gz"), "-C", app, "."]);
  }

  private async startAgent(service: Service): Promise<void> {
    const config = join(this.directory, `${service}.toml`);
    this.agents.push(await this.run([AGENT, "--config", config], { path: join(this.directory, `${service}.sock`) }));
  }

  private async renderBase(service: Service): Promise<void> {
    const args = [EDGE, "--config", join(this.directory, this.kind, `${service}.toml`), "--render-base"];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    writeFileSync(join(this.directory, `slotd-${service}.cfg`), stdout);
  }

  private async startProxy(): Promise<void> {
    this.proxy = await (this.kind === "haproxy" ? this.startHaproxy() : this.startVarnish());
  }

  private startHaproxy(): Promise<ServiceProcess> {
    const files = ["haproxy/haproxy.cfg", ...SERVICES.map((service) => `slotd-${service}.cfg`)];
    const args = files.flatMap((file) => ["-f", join(this.directory, file)]);
    return ServiceProcess.start(["haproxy", "-W", "-db", ...args], [{ host: ADDRESS, port: this.port }]);
  }

  private startVarnish(): Promise<ServiceProcess> {
    const { directory, port, cliPort } = this;
    const args = ["-n", join(directory, "varnishd"), "-a", `${ADDRESS}:${port}`, "-s", "malloc,64M"];
    args.push("-f", "", "-I", join(directory, "varnish/start.cli"), "-p", "backend_idle_timeout=4");
    args.push("-T", `127.0.0.1:${cliPort}`, "-S", join(directory, "secret"));
    args.push("-p", "cc_command=exec cc -O0 -w -pthread -fpic -shared -Wl,-x -o %o %s");
    return ServiceProcess.start(["varnishd", "-F", ...args], [{ host: ADDRESS, port }]);
  }

  private run(words: string[], ...listening: { path: string }[]): Promise<ServiceProcess> {
    return ServiceProcess.start([process.execPath, ...words], listening);
  }

  private async controller(...words: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [CONTROLLER, "--nats", this.nats.url, ...words]);
    return stdout;
  }
}
