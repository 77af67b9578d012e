import { ProxyDownError } from "../contract.ts";
import type { CliAnswer, VarnishCli } from "./cli.ts";

/** What varnishd reports about itself. A restarted child has forgotten the health that was set by command. */
export interface RunningVarnish {
  /** The name of the VCL that gets the requests: the active one, or the one that the label points to. */
  active: string | null;
  /** Whether requests can get to it. False if no VCL has the label. */
  isReached: boolean;
  /** Other VCLs without a label, without discarded ones that wait for their last request. */
  idle: string[];
  /** Names of the backends that were set to sick in the VCL that was asked about. */
  sick: Set<string>;
}

interface ListedVcl {
  status: string;
  name: string;
  /** How many labels point to it. */
  labels?: number;
  /** Of a label: the VCL that it points to, and how many VCLs refer to the label. */
  label?: { name: string; refs: number };
}

/**
 * @param label of the VCL that gets the requests of this service; null: the active VCL does
 * @param name the VCL whose backends to list; null: none
 * @throws ProxyDownError if varnishd has no child that serves requests
 */
export async function observeVarnish(
  cli: VarnishCli,
  label: string | null,
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
  const vcls = (list ?? []) as ListedVcl[];
  const top = vcls.find((vcl) => (label === null ? vcl.status === "active" : vcl.name === label));
  const health = (backends?.[0] ?? {}) as Record<string, { type: string; admin_health: string }>;
  return {
    active: (label === null ? top?.name : top?.label?.name) ?? null,
    isReached: label === null || top?.status === "active" || (top?.label?.refs ?? 0) > 0,
    idle: vcls.filter((vcl) => vcl.status === "available" && !vcl.label && !vcl.labels).map((vcl) => vcl.name),
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
