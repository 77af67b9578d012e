import type { Command } from "commander";
import { openBucket } from "../../bus/buckets.ts";
import type { BusSession } from "../../bus/session.ts";
import type { HostStatus } from "../../protocol/host-status.ts";
import { hostToken } from "../../protocol/names.ts";
import type { Order } from "../../protocol/order.ts";
import { buckets } from "../../protocol/subjects.ts";
import { type Context, globalOptions, LeftOut, withBus } from "../context.ts";
import { ArgumentError, HostUnknownError, NoHostsError } from "../errors.ts";
import { fetchStatuses } from "../host-reports.ts";
import { isStale } from "../hosts.ts";
import type { OrderOptions } from "../options.ts";
import { changeTracker } from "../terminal/host-changes.ts";
import { formatAge } from "../terminal/render.ts";
import { checkOptions, checkOrder } from "./check-order.ts";
import { claimsOf, nextEpoch, noteEpoch, warnOfEpochs } from "./epochs.ts";
import { OutcomeWatch } from "./outcome-watch.ts";
import { fetchOrders, newOrderId, putOrders } from "./put-orders.ts";

const WAIT_MS = 10 * 60_000;

/** An order without its id, epoch and issuer. */
export type OrderBody<T extends Order = Order> = T extends Order
  ? Omit<T, "id" | "epoch" | "issuedBy" | "issuedAt">
  : never;

type Header = Pick<Order, "id" | "epoch" | "issuedBy" | "issuedAt">;

export interface OrderRequest {
  service: string;
  options: OrderOptions;
  /** An order of the same shape, to find wrong values before connecting to the bus. */
  draft: OrderBody;
  /** The order itself, completed from what is on the bus. */
  complete(bus: BusSession): Promise<OrderBody>;
}

/** Issues one order to one slot of each host, and waits for the outcome with `--wait`. */
export async function issueOrder(
  context: Context,
  command: Command,
  { service, options, draft, complete }: OrderRequest,
): Promise<void> {
  if (!options.allHosts && !options.host?.length) throw new ArgumentError("--host", "or --all-hosts is required");
  const { slot, by = context.user } = options;
  const id = options.id ?? newOrderId(draft.action, service, slot);
  const issuedAt = new Date().toISOString();
  checkOptions({ ...draft, id, epoch: options.epoch ?? 0, issuedBy: by, issuedAt });

  await withBus(context, command, async (bus) => {
    const leftOut = new LeftOut(context.output);
    const statuses = await fetchStatuses(bus, service, leftOut.note);
    const hosts = options.allHosts ? allHosts(context, service, statuses) : namedHosts(service, options, statuses);
    const body = await complete(bus);
    const orders = await fetchOrders(bus, service, leftOut.note);
    const header = await chooseHeader(
      context,
      bus,
      { service, statuses, orders },
      { id, issuedBy: by, issuedAt },
      options,
    );
    const order = checkOrder({ ...body, ...header });
    // `--wait` follows this bucket, so it must exist before the order does.
    await openBucket(bus, buckets.hosts);
    const watch = options.wait ? await OutcomeWatch.start(bus, { service, slot }, leftOut.note) : undefined;
    try {
      await put(context, bus, { service, slot, hosts, order });
      const timeoutMs = globalOptions(command).timeout ?? WAIT_MS;
      await watch?.finish({ ...header, slot }, hosts, timeoutMs, reporter(context, slot, hosts, statuses));
    } finally {
      watch?.stop();
    }
    report(context, { service, slot, hosts, order, waited: watch !== undefined });
  });
}

function allHosts({ output }: Context, service: string, statuses: readonly HostStatus[]): string[] {
  if (statuses.length === 0) throw new NoHostsError(service);
  const now = Date.now();
  for (const status of statuses.filter((each) => isStale(each, now))) {
    output.warn(
      `${status.host} last reported ${formatAge(now - Date.parse(status.observedAt))} ago; it gets the order all the same`,
    );
  }
  return statuses.map((status) => status.host);
}

/** @throws HostUnknownError for one that has not reported, since its name is most likely a typing error */
function namedHosts(
  service: string,
  { host: named = [], unseen = false }: OrderOptions,
  statuses: readonly HostStatus[],
): string[] {
  const known = statuses.map(({ host }) => host);
  const tokens = new Set(known.map(hostToken));
  const unknown = named.find((host) => !tokens.has(hostToken(host)));
  if (unknown !== undefined && !unseen) throw new HostUnknownError(service, unknown, known);
  return [...new Set(named)];
}

interface OnBus {
  service: string;
  statuses: readonly HostStatus[];
  orders: readonly Order[];
}

/** An order id that was issued before is issued again unchanged, so that agents see a repeat and not a conflict. */
async function chooseHeader(
  { output }: Context,
  bus: BusSession,
  { service, statuses, orders }: OnBus,
  fresh: Omit<Header, "epoch">,
  { id, epoch }: OrderOptions,
): Promise<Header> {
  const issued = id === undefined ? undefined : orders.find((order) => order.id === id);
  if (issued && (epoch === undefined || epoch === issued.epoch)) {
    return { id: issued.id, epoch: issued.epoch, issuedBy: issued.issuedBy, issuedAt: issued.issuedAt };
  }
  const facts = { issued: orders.map((order) => order.epoch), claims: claimsOf(statuses) };
  if (epoch !== undefined) {
    await noteEpoch(bus, service, epoch, facts);
    return { ...fresh, epoch };
  }
  const next = await nextEpoch(bus, service, facts);
  warnOfEpochs(output, facts, next);
  return { ...fresh, epoch: next };
}

interface Issued {
  service: string;
  slot: string;
  hosts: string[];
  order: Order;
}

async function put({ output }: Context, bus: BusSession, issued: Issued): Promise<void> {
  const done = new Set<string>();
  try {
    await putOrders(bus, issued, (host) => done.add(host));
  } catch (error) {
    const rest = issued.hosts.filter((host) => !done.has(host));
    output.warn(`order ${issued.order.id} was put for ${done.size} hosts, but not for ${rest.join(", ")}`);
    throw error;
  }
}

/** Prints, while waiting, what changes in the slot of the order, since before it was put. */
function reporter(
  { output }: Context,
  slot: string,
  hosts: readonly string[],
  before: readonly HostStatus[],
): (status: HostStatus) => void {
  const track = changeTracker();
  for (const status of before) track(status);
  return (status) => {
    if (output.json || !hosts.includes(status.host)) return;
    for (const change of track(status)) if (change.slot === slot) output.change(change);
  };
}

function report({ output }: Context, { service, slot, hosts, order, waited }: Issued & { waited: boolean }): void {
  output.object({ service, slot, hosts, order, outcome: waited ? "done" : "issued" });
  const what = `${order.action} of ${service} ${order.action === "install" ? order.release.version : order.version}`;
  output.line(`${what}, slot ${slot}: ${waited ? "done on" : "ordered for"} ${hosts.join(", ")}`);
  output.line(`order ${order.id}, epoch ${order.epoch}`);
}
