import { decode, maxDeployChars } from "../../protocol/decode.ts";
import { type Deploy, deploySchema } from "../../protocol/deploy.ts";
import { maxEpoch } from "../../protocol/epoch.ts";
import { OrderMalformedError } from "../../protocol/errors.ts";
import { type HostStatus, hostStatusSchema, maxSlotsPerHost, type SlotStatus } from "../../protocol/host-status.ts";
import { type Member, memberSchema } from "../../protocol/member.ts";
import { hostToken, nameSchema } from "../../protocol/names.ts";
import { type Order, parseOrder } from "../../protocol/order.ts";
import { type EdgeStatus, edgeStatusSchema, type Routes, routesSchema } from "../../protocol/routes.ts";

/**
 * A value from the bus: what can be believed of it, and which parts are left out, with the reasons; or the rule that it
 * breaks as a whole. The bus lets a program write its own keys only, so a value that speaks of others is not believed.
 */
export type Read<T> = { value: T; leftOut: string[] } | { broken: string };

export function readStatus(key: string, text: string): Read<HostStatus> {
  const decoded = decode(hostStatusSchema, text);
  if ("broken" in decoded) return decoded;
  const { value } = decoded;
  const [service = "", host = ""] = key.split(".");
  const broken = misnamed({ service: [value.service, service], host: [hostToken(value.host), host] });
  if (broken !== null) return { broken };
  const leftOut: string[] = [];
  const slots: Record<string, SlotStatus> = {};
  for (const [name, slot] of Object.entries(value.slots).sort(([x], [y]) => (x < y ? -1 : 1))) {
    if (slot.slot !== name) leftOut.push(`slots.${name}: slot must be ${name}, not ${slot.slot}`);
    else if (Object.keys(slots).length < maxSlotsPerHost) slots[name] = withinEpochs(slot, leftOut);
  }
  const over = Object.keys(value.slots).length - maxSlotsPerHost;
  if (over > 0) leftOut.push(`slots: must be at most ${maxSlotsPerHost}, so ${over} are not counted`);
  return { value: { ...value, slots }, leftOut };
}

/** A slot whose epoch is beyond any that was ever issued has none. */
function withinEpochs(slot: SlotStatus, leftOut: string[]): SlotStatus {
  if (slot.epoch <= maxEpoch) return slot;
  leftOut.push(`slots.${slot.slot}.epoch: must be at most ${maxEpoch}, not ${slot.epoch}`);
  return { ...slot, epoch: 0 };
}

export function readEdge(key: string, text: string): Read<EdgeStatus> {
  const [service = "", edge = ""] = key.split(".");
  return named(decode(edgeStatusSchema, text), (said) => ({
    service: [said.service, service],
    edge: [said.edge, edge],
  }));
}

/** A key is `SERVICE.STAGE.HOST.SLOT`. */
export function readRegistration(key: string, text: string): Read<Member> {
  const [service = "", stage = "", host = "", slot = ""] = key.split(".");
  return named(decode(memberSchema, text), ({ metadata }) => ({
    "metadata.service": [metadata.service, service],
    "metadata.stage": [metadata.stage, stage],
    "metadata.host": [metadata.host && hostToken(metadata.host), host],
    "metadata.slot": [metadata.slot, slot],
  }));
}

export function readRoutes(_key: string, text: string): Read<Routes> {
  return named(decode(routesSchema, text), () => ({}));
}

export function readRecord(key: string, text: string): Read<Deploy> {
  return named(decode(deploySchema, text, maxDeployChars), ({ service }) => ({ service: [service, key] }));
}

export function readOrder(_key: string, text: string): Read<Order> {
  try {
    return { value: parseOrder(text), leftOut: [] };
  } catch (error) {
    if (error instanceof OrderMalformedError) return { broken: error.message.replace(/^order refused: /, "") };
    throw error;
  }
}

/** Whether a key's part, behind the service, is a name that an edge may have. */
export function isEdgeName(text: string): boolean {
  return nameSchema.safeParse(text).success;
}

/** By field: what a value says, and what its key says. */
type Names = Record<string, [said: string | undefined, key: string]>;

function named<T>(decoded: { value: T } | { broken: string }, names: (value: T) => Names): Read<T> {
  if ("broken" in decoded) return decoded;
  const broken = misnamed(names(decoded.value));
  return broken === null ? { value: decoded.value, leftOut: [] } : { broken };
}

function misnamed(names: Names): string | null {
  for (const [field, [said, key]] of Object.entries(names))
    if (said !== key) return `${field}: must be ${key}, as its key says, not ${said?.slice(0, 64) ?? "missing"}`;
  return null;
}
