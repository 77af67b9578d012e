import type { RollingWorker } from "./rolling-worker.ts";

/**
 * The configuration of a plain HAProxy: turns, health checks that are quicker than its defaults, and another server
 * where one takes no connection. It knows nothing of versions. Pure.
 */
export function renderRollingHaproxy(
  bind: string,
  workers: readonly Pick<RollingWorker, "address" | "port">[],
): string {
  const servers = workers.map(({ address, port }, i) => `  server s${i + 1} ${address}:${port}`);
  return `defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  retries 3
  option redispatch
  default-server check inter 1s fall 2 rise 2

frontend web
  bind ${bind}
  default_backend web

backend web
  balance roundrobin
  option httpchk GET /healthz
${servers.join("\n")}
`;
}
