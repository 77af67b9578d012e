import { ProxyDownError } from "../contract.ts";
import type { CliAnswer, VarnishCli } from "./cli.ts";

/** What varnishd reports about itself. A restarted child has forgotten the health that was set by command. */
export interface RunningVarnish {
  /** The name of the active VCL. */
  active: string | null;
  /** The other VCLs, without discarded ones that wait for their last request. */
  idle: string[];
  /** Names of the backends that were set to sick in the VCL that was asked about. */
  sick: Set<string>;
}

/**
 * @param name the VCL whose backends to list; null: none
 * @throws ProxyDownError if varnishd has no child that serves requests
 */
export async function observeVarnish(
  cli: VarnishCli,
  name: string | null,
  signal: AbortSignal,
): Promise<RunningVarnish> {
  const commands = [
    ["pid", "-j"],
    ["vcl.list", "-j"],
  ];
  if (name !== null) commands.push(["backend.list", "-j", `${name}.*`]);
  const [pid, list, backends] = (await cli.runAll(commands, signal)).map(results);
  const { worker } = (pid?.[0] ?? {}) as { worker?: number };
  if (worker === undefined) throw new ProxyDownError("varnishd runs without its child: see `varnishadm panic.show`");
  const vcls = (list ?? []) as { status: string; name: string }[];
  const active = vcls.find(({ status }) => status === "active")?.name ?? null;
  const health = (backends?.[0] ?? {}) as Record<string, { type: string; admin_health: string }>;
  return {
    active,
    idle: vcls.filter(({ status }) => status === "available").map((vcl) => vcl.name),
    sick: new Set(
      Object.entries(health)
        .filter(([, { admin_health }]) => admin_health === "sick")
        .map(([full]) => full.slice(full.lastIndexOf(".") + 1)),
    ),
  };
}

/** A JSON answer is `[version, command, time, ...results]`. */
function results({ status, text }: CliAnswer): unknown[] {
  if (status !== 200) return [];
  return (JSON.parse(text) as unknown[]).slice(3);
}
