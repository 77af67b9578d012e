import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../../test/support/ports.ts";
import { untilAnswers } from "./app.ts";
import { start, temporaryDirectory } from "./processes.ts";
import type { Run } from "./run.ts";

/** nginx in front of a port, with keep-alive on both sides; returns its own port. */
export async function startNginx(run: Run, upstreamPort: number): Promise<number> {
  const [port] = (await freePorts(1)) as [number];
  const prefix = temporaryDirectory(run, "nginx");
  mkdirSync(join(prefix, "logs"));
  const file = join(prefix, "nginx.conf");
  writeFileSync(file, configuration(port, upstreamPort));
  await start(run, "nginx", ["-p", prefix, "-c", file, "-e", join(prefix, "error.log")], {
    stdio: "ignore",
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  await untilAnswers(port);
  return port;
}

function configuration(port: number, upstreamPort: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
daemon off;
pid nginx.pid;
error_log error.log;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes ${availableParallelism()};
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 500;
  ${temporary.map((name) => `${name}_temp_path ${name};`).join("\n  ")}
  upstream app {
    server 127.0.0.1:${upstreamPort};
    keepalive 64;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;
}
