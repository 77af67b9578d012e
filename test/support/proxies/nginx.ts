import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MemberWatch } from "../fleet/member-watch.ts";
import { freePorts } from "../ports.ts";
import { until } from "../until.ts";

/**
 * A real nginx whose upstream is what the serverset says, with persistent connections to the app. It is reloaded when
 * the serverset changes, keeps its last table when that is empty, and never tries a failed request again.
 */
export class Nginx {
  private constructor(
    readonly port: number,
    private readonly directory: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(watch: MemberWatch): Promise<Nginx> {
    const [port] = (await freePorts(1)) as [number];
    const directory = mkdtempSync(join(tmpdir(), "slotd-nginx-"));
    mkdirSync(join(directory, "logs"));
    const file = join(directory, "nginx.conf");
    let servers = upstream(watch);
    writeFileSync(file, render(port, servers));
    const child = spawn("nginx", ["-p", directory, "-c", file, "-e", join(directory, "error.log")], {
      stdio: "ignore",
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    const nginx = new Nginx(port, directory, child);
    watch.changed(() => {
      const next = upstream(watch);
      if (next.length === 0 || next.join() === servers.join()) return;
      servers = next;
      writeFileSync(file, render(port, servers));
      child.kill("SIGHUP");
    });
    try {
      await once(child, "spawn");
      await until("nginx answers", () => answers(port, child));
    } catch (error) {
      await nginx.stop();
      throw error;
    }
    return nginx;
  }

  errors(): string {
    return readFileSync(join(this.directory, "error.log"), "utf8");
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const exited = once(this.child, "exit");
      this.child.kill("SIGTERM");
      await exited;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function upstream(watch: MemberWatch): string[] {
  return [...watch.alive().values()].map(({ serviceEndpoint: { host, port } }) => `${host}:${port}`).sort();
}

function answers(port: number, child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function render(port: number, servers: readonly string[]): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
pid nginx.pid;
error_log error.log;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 2;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join("\n  ")}
  upstream app {
    ${servers.map((server) => `server ${server} max_fails=0;`).join("\n    ")}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream off;
    }
  }
}
`;
}
