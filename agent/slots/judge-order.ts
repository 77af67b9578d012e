import { createHash } from "node:crypto";
import {
  DigestMismatchError,
  EpochTooHighError,
  OrderConflictError,
  type SlotdError,
  StaleEpochError,
  VersionInUseError,
  VersionNotInstalledError,
} from "../../protocol/errors.ts";
import { type Order, orderVersion } from "../../protocol/order.ts";
import { isSameContent } from "../../protocol/release.ts";
import type { SlotJournal } from "../journal/schema.ts";
import { routedBy, type Traffic } from "./routed-by.ts";

/**
 * How far an order's epoch may be above the highest that the slot has seen. Epochs count orders, so that a slot that
 * has seen none can still join; and no order can use them up, after which every later one would be stale.
 */
const MAX_EPOCH_STEP = 2 ** 32;

type Seen = SlotJournal["history"][number];

/** What to do with a well-formed order: act on it, answer it with the recorded outcome, or refuse it. */
export type OrderJudgement =
  | { verdict: "accept" }
  | { verdict: "repeat"; seen: Seen }
  | { verdict: "refuse"; error: SlotdError };

/** What makes two orders the same order: their content, in whatever order the fields come. */
export function fingerprint(order: Order): string {
  const sorted = (_key: string, value: unknown) =>
    typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value).sort()) : value;
  return createHash("sha256").update(JSON.stringify(order, sorted)).digest("hex");
}

/** Judges an order against what the slot has seen and holds, and against who uses that. Pure: it changes nothing. */
export function judgeOrder(slot: string, order: Order, journal: SlotJournal, traffic: Traffic): OrderJudgement {
  const seen = journal.history.find((entry) => entry.id === order.id);
  if (seen) {
    return seen.fingerprint === fingerprint(order)
      ? { verdict: "repeat", seen }
      : { verdict: "refuse", error: new OrderConflictError(order.id) };
  }
  if (order.epoch < journal.epoch)
    return { verdict: "refuse", error: new StaleEpochError(order.id, order.epoch, journal.epoch) };
  if (order.epoch > journal.epoch + MAX_EPOCH_STEP)
    return { verdict: "refuse", error: new EpochTooHighError(order.id, order.epoch, journal.epoch) };

  const held = [journal.resident?.release, pendingRelease(journal)].filter((release) => release !== undefined);
  if (order.action === "install") {
    const { version, sha256 } = order.release;
    const other = held.find((release) => release.version === version && !isSameContent(release, order.release));
    if (other) {
      const error = new DigestMismatchError(version, sha256, other.sha256, `the content of slot ${slot}, installed as`);
      return { verdict: "refuse", error };
    }
  } else if (held.length > 0 && !held.some((release) => release.version === order.version)) {
    const [resident] = held;
    const facts = { orderId: order.id };
    return {
      verdict: "refuse",
      error: new VersionNotInstalledError(slot, order.version, resident?.version ?? "nothing", facts),
    };
  }
  const removed = removedVersion(order, journal);
  const user = removed === null || order.force ? null : routedBy(removed, traffic);
  if (removed !== null && user !== null) return { verdict: "refuse", error: new VersionInUseError(removed, user) };
  return { verdict: "accept" };
}

/** The version that an order would take away; null where it takes nothing. */
function removedVersion(order: Order, { resident }: SlotJournal): string | null {
  const held = resident?.release.version ?? null;
  const stays = (held === orderVersion(order)) === (order.action === "install");
  return stays ? null : held;
}

function pendingRelease(journal: SlotJournal) {
  const record = journal.order;
  if (record?.outcome !== "pending" || record.order.action !== "install") return undefined;
  return record.order.release;
}
