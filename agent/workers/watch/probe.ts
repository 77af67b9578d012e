import { type RequestOptions, request as requestHttp } from "node:http";
import type { Socket } from "node:net";
import type { ProbeConfig } from "../../config/probes.ts";

/** `status`: a response came. */
export type ProbeResult = { ok: true; status: number } | { ok: false; status?: number; why: string };

/** Where a probe goes: a port, or a unix socket. */
export type ProbeTarget = { host: string; port: number } | { socketPath: string };

/** A probe's result as a person would say it. */
export function describeProbe(result: ProbeResult): string {
  return result.ok ? `answered ${result.status}` : result.why;
}

/** Where a slot's own host reaches it. */
export function probeAddress(bind: string): string {
  if (bind === "0.0.0.0") return "127.0.0.1";
  return bind === "::" ? "::1" : bind;
}

/**
 * One GET on a connection of its own. Never throws, and never takes longer than the timeout.
 * @param onSocket is given the connection that is being made
 */
export async function probe(
  target: ProbeTarget,
  config: ProbeConfig,
  onSocket: (socket: Socket) => void = () => {},
): Promise<ProbeResult> {
  const { path, timeout_ms: timeoutMs, https } = config;
  // Loaded only where it is used: it takes memory.
  const request = https === "off" ? requestHttp : (await import("node:https")).request;
  return new Promise((resolve) => {
    const call = request({ ...target, ...asked(config) }, (response) => {
      const { statusCode: status = 0, headers } = response;
      response.resume();
      response.once("error", (error) => finish({ ok: false, why: error.message }));
      response.once("end", () => finish(judge(config, status, headers.location)));
    });
    const late = () => finish({ ok: false, why: `GET ${path} was not answered in ${timeoutMs} ms` });
    // An answer that came while this process stood still is there, but was not read yet when the timer's turn comes.
    const timer = setTimeout(() => setImmediate(late), timeoutMs);
    const finish = (result: ProbeResult) => {
      clearTimeout(timer);
      call.destroy();
      resolve(result);
    };
    call.once("error", (error) => finish({ ok: false, why: `GET ${path}: ${error.message}` }));
    call.once("socket", onSocket);
    call.end();
  });
}

function asked({ path, host, headers, https }: ProbeConfig): RequestOptions & { servername?: string } {
  const name = host?.replace(/:\d+$/, "");
  return {
    path,
    agent: false,
    headers: { "user-agent": "slotd-health", ...(host !== undefined && { host }), ...headers },
    ...(https !== "off" && {
      rejectUnauthorized: https === "verified",
      ...(name !== undefined && { servername: name }),
    }),
  };
}

/** A redirect to elsewhere says nothing about the app here: it may only be the rule that leads everybody to https. */
function judge({ path, host, https, expect }: ProbeConfig, status: number, location: string | undefined): ProbeResult {
  const bad = (more: string): ProbeResult => ({ ok: false, status, why: `GET ${path} answered ${status}${more}` });
  if (expect !== undefined) return expect.includes(status) ? { ok: true, status } : bad("");
  if (status >= 400) return bad("");
  if (status < 300 || location === undefined) return { ok: true, status };
  const from = `${https === "off" ? "http" : "https"}://${host ?? "localhost"}`;
  const to = URL.canParse(location, from) ? new URL(location, from) : null;
  const leaves = to === null || to.protocol !== new URL(from).protocol || (host !== undefined && to.host !== host);
  return leaves
    ? bad(`, a redirect to ${to?.origin ?? "nowhere"}: see host, headers and expect`)
    : { ok: true, status };
}
