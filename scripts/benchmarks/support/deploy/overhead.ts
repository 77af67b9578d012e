import type { BusRecord } from "./bus-record.ts";
import type { VerbResult } from "./controller.ts";

/** Where the time of a deploy went, in ms. */
export interface DeployTime {
  /** The slowest host of each wave, from its order to its outcome, all waves together. */
  hosts: number;
  /** The installing step. */
  installing: number;
  /** Edges that were waited for. */
  barriers: number;
  /** All steps. */
  steps: number;
  /** The commands, from their start to their end. */
  commands: number;
}

/**
 * @param span when the hosts got their orders, by the system's clock
 * @param size hosts at once
 */
export function deployTime(
  { orders, done }: Pick<BusRecord, "orders" | "done">,
  { fromMs, toMs }: { fromMs: number; toMs: number },
  size: number,
  verbs: readonly VerbResult[],
): DeployTime {
  const installs = orders
    .filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
    .map(({ atMs, value: { host, order } }) => (done.get(`${host} ${order.id}`) ?? Number.NaN) - atMs);
  let hosts = 0;
  for (let first = 0; first < installs.length; first += size) hosts += Math.max(...installs.slice(first, first + size));
  const steps = verbs.flatMap((verb) => verb.steps);
  return {
    hosts,
    installing: sum(steps.filter(({ step }) => step === "installing").map(({ ms }) => ms)),
    barriers: sum(steps.flatMap(({ barriers }) => barriers.map(({ ms }) => ms))),
    steps: sum(steps.map(({ ms }) => ms)),
    commands: sum(verbs.map(({ wallMs }) => wallMs)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((x, y) => x + y, 0);
}
