import { CrashLoopError } from "../../protocol/errors.ts";
import type { Pool } from "../workers/pool.ts";
import { describeEnd } from "../workers/process/worker.ts";
import type { SlotDependencies } from "./dependencies.ts";
import type { OrderBook } from "./order-book.ts";
import { keepsVersion } from "./perform-step.ts";
import type { SlotRuntime } from "./slot-runtime.ts";

/**
 * The verdict on the workers of a serving slot that keep ending.
 * @returns null where the slot serves no more by the time, or an order is about to take the version away
 */
export async function judgeCrashLoop(
  pool: Pool,
  ends: number,
  { runtime, orders, config }: { runtime: SlotRuntime; orders: OrderBook; config: SlotDependencies["config"] },
): Promise<CrashLoopError | null> {
  const last = pool.ends.at(-1);
  if (!runtime.serves || !last) return null;
  const words = await pool.lastWords(last);
  if (runtime.pool !== pool || !runtime.serves || !keepsVersion(orders.pending, pool.spec.version)) return null;
  return new CrashLoopError(ends, config.crash_loop.within_ms, describeEnd(last), words);
}
