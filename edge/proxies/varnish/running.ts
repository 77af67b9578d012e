import { ProxyDownError } from "../contract.ts";
import type { CliAnswer, VarnishCli } from "./cli.ts";

/** What varnishd says of itself. A child that was started anew has forgotten the health that was set by hand. */
export interface RunningVarnish {
  /** Name of the VCL that routes. */
  active: string | null;
  /** The others, less those that are discarded and wait for their last request. */
  idle: string[];
  /** Backends of the active VCL whose health was set to sick, by their names in it. */
  sick: Set<string>;
}

/**
 * @param name the VCL whose backends are looked at; none: only the processes and VCLs are
 * @throws ProxyDownError where nothing serves
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
  const [pid, list, backends] = (await cli.runAll(commands, signal)).map(told);
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

/** An answer in JSON is `[version, command, time, what was asked for…]`. */
function told({ status, text }: CliAnswer): unknown[] {
  if (status !== 200) return [];
  return (JSON.parse(text) as unknown[]).slice(3);
}
