import { once } from "node:events";
import { CommandNotFoundError, NotReadyError, WorkersExitedError } from "../../protocol/errors.ts";
import type { Config } from "../config/schema.ts";
import type { Pool } from "../workers/pool.ts";
import { describeEnd } from "../workers/process/worker.ts";
import { notAccepting, openedPort } from "./why-not-accepting.ts";

/** A worker that ended this often in a row while starting will not come up. */
const HOPELESS_ENDS = 3;
/** What a shell exits with where a command can't be run, or is not there: POSIX, 2.8.2. */
const CANT_RUN = [126, 127];

/**
 * Waits until k of n workers were ready for T. Time alone never makes a slot ready.
 * @throws COMMAND_NOT_FOUND, WORKERS_EXITED, NOT_ACCEPTING or NOT_READY, or the signal's reason.
 */
export async function untilReady(
  pool: Pool,
  config: Config["readiness"],
  signal: AbortSignal,
  onProgress: (ready: number, needed: number) => void,
): Promise<void> {
  const needed = Math.min(config.workers ?? pool.wanted, pool.wanted);
  const deadline = performance.now() + config.timeout_ms;
  let readySince: number | null = null;
  for (;;) {
    signal.throwIfAborted();
    const now = performance.now();
    readySince = pool.ready >= needed ? (readySince ?? now) : null;
    if (readySince !== null && now - readySince >= config.hold_ms) return;
    await requireHope(pool, needed);
    if (now >= deadline) throw await timedOut(pool, needed, config.timeout_ms);
    onProgress(Math.min(pool.ready, needed), needed);
    const next = readySince === null ? deadline : Math.min(deadline, readySince + config.hold_ms);
    const tick = AbortSignal.timeout(Math.max(1, Math.ceil(next - now)));
    await once(pool, "change", { signal: AbortSignal.any([signal, tick]) }).catch(() => {});
  }
}

/** @throws where so many workers end again and again that the others are not enough. */
async function requireHope(pool: Pool, needed: number): Promise<void> {
  const last = pool.ends.at(-1);
  if (!last) return;
  const cantRun = last.reason === "crashed" && CANT_RUN.includes(last.exitCode ?? 0);
  const hopeless = pool.wanted - pool.failing(HOPELESS_ENDS) < needed;
  if (!cantRun && !hopeless) return;
  const words = await pool.lastWords(last);
  if (cantRun && /not found|permission denied|failed to execute/i.test(words))
    throw new CommandNotFoundError(pool.spec.config.app.command[0] ?? "", words);
  if (!hopeless) return;
  if (/EADDRINUSE|address already in use/i.test(words)) throw openedPort(pool, last.ranMs, words);
  throw new WorkersExitedError(pool.ends.length, describeEnd(last), words);
}

async function timedOut(pool: Pool, needed: number, timeoutMs: number) {
  // Who answered a probe, with whatever status, did accept: not every way of waiting for connections can be seen.
  const accepted = pool.health.answered || pool.workers.some((worker) => worker.accepting);
  if (!accepted) return notAccepting(pool, timeoutMs);
  return new NotReadyError(pool.ready, needed, timeoutMs, pool.describeReadiness());
}
