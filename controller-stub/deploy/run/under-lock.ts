import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import type { Command } from "commander";
import type { Deploy } from "../../../protocol/deploy.ts";
import { BusUnreachableError, toSlotdError } from "../../../protocol/errors.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { openBucket } from "../../buckets.ts";
import { type Bus, defaultTimeoutMs } from "../../bus.ts";
import { type Context, globalOptions, warnMalformed, withBus } from "../../context.ts";
import { ControllerError, EndedBySignalError } from "../../errors.ts";
import { highestEpoch } from "../../orders/epochs.ts";
import { type DeployVerb, judgeVerb } from "../decisions/judge-verb.ts";
import { runSummary } from "../decisions/count-hosts.ts";
import { HeldByError, LockLostError } from "../deploy-errors.ts";
import type { RunOptions } from "../deploy-options.ts";
import { type DeployContext, inDeploy } from "./deploy-context.ts";
import { DeployLock, fetchRecord } from "./records/deploy-lock.ts";
import { OrderLedger } from "./records/order-ledger.ts";
import { DeployReport } from "../show/deploy-report.ts";
import { fetchRoutes } from "./records/routes.ts";
import { watchLock } from "./records/watch-lock.ts";
import { Fleet, KnownEdges } from "./watch/known-edges.ts";

/** How a run ends well. */
export interface RunResult {
  /** The last change of the record, written as the lock is given back. */
  change?: (record: Deploy) => Deploy;
  outcome: string;
  text: string;
  /** What `--json` says beside that. */
  facts?: Record<string, unknown>;
}

const WAVE_MS = 10 * 60_000;

/** The fleet as it is, read and followed. */
export interface FleetView {
  bus: Bus;
  routes: Routes | null;
  fleet: Fleet;
  edges: KnownEdges;
  orders: OrderLedger;
}

/** Reads everything that a plan needs. Changes nothing but to make buckets that are missing. */
export async function withFleetView<T>(
  context: Context,
  bus: Bus,
  service: string,
  use: (view: FleetView) => Promise<T>,
): Promise<T> {
  const stops: (() => void)[] = [];
  const stopping = async <S extends { stop: () => void }>(view: Promise<S>) => {
    const opened = await view;
    stops.push(opened.stop);
    return opened;
  };
  try {
    // Members are waited for in a bucket that agents make, too; whoever comes first makes it.
    const [fleet, edges, orders, { routes }] = await Promise.all([
      stopping(Fleet.follow(bus, service, warnMalformed(context))),
      stopping(KnownEdges.follow(bus, service)),
      OrderLedger.fetch(bus, service),
      fetchRoutes(bus, service),
      openBucket(bus, buckets.serversets),
    ]);
    return await use({ bus, routes, fleet, edges, orders });
  } finally {
    for (const stop of stops) stop();
  }
}

/** The bus of a verb that may take long: `--timeout` is for its waves, and not for a request. */
export function withFleetBus<T>(context: Context, command: Command, use: (bus: Bus) => Promise<T>): Promise<T> {
  return withBus(context, command, use, { timeoutMs: defaultTimeoutMs });
}

export interface LockRequest {
  verb: DeployVerb;
  service: string;
  options: RunOptions;
  /** Whether a lock whose holder does not renew it is taken over. */
  takesOver?: boolean;
}

/**
 * Works under the lock, with a new epoch. When `work` fails, a deploy that is under way is recorded as halted, with the reason; the lock
 * is given back in any case but two: another has it, or the bus can't be reached.
 * @throws HeldByError, DeployStateError; LockLostError, FencedError, DeployHaltedError; what `work` throws
 */
export function underLock(
  context: Context,
  command: Command,
  { verb, service, options, takesOver = false }: LockRequest,
  use: (work: DeployContext, view: FleetView) => Promise<RunResult>,
): Promise<void> {
  return withFleetBus(context, command, async (bus) => {
    // Both at once, and neither is left behind: a stream that is looked for while the connection is closed is not a missing one.
    const opening = DeployReport.open(context.output, bus, service);
    const stale = await refuse(context, bus, { verb, service, takesOver }).finally(() => opening);
    const report = await opening;
    await withFleetView(context, bus, service, async (view) => {
      const floor = Math.max(highestEpoch(view.orders.known, view.fleet.statuses), view.routes?.epoch ?? 0);
      const holder = `${context.user}@${hostname()} (pid ${process.pid})`;
      const { lease: leaseMs, patience: patienceMs } = options;
      const lock = await DeployLock.acquire(bus, service, { holder, leaseMs, patienceMs, floor }, stale);
      const signal = AbortSignal.any([bus.signal, lock.lost]);
      setMaxListeners(0, signal);
      const own = bus.under(signal, patienceMs);
      const bounds = { barrierMs: options.barrierTimeout, waveMs: globalOptions(command).timeout ?? WAVE_MS };
      const by = options.by ?? context.user;
      const work: DeployContext = { ...view, bus: own, service, by, lock, report, bounds };
      const error = judgeVerb(verb, service, lock.deploy.deploy);
      if (error && !(verb === "resume" && stale)) {
        await lock.release();
        throw error;
      }
      try {
        // Whoever had the lock a moment ago may have changed them.
        const { routes } = await fetchRoutes(own, service);
        const { change, outcome, text, facts } = await use(work, { ...view, routes });
        await lock.release(change);
        report.finish(text, { ...runSummary(work, outcome, !isApart(verb)), ...facts });
      } catch (error) {
        throw await recordHalt(work, error);
      } finally {
        lock.stop();
        await report.close();
      }
    });
  });
}

/** Says no before anything is taken, if that can be. @returns the lock that stood still */
async function refuse(
  { output }: Context,
  bus: Bus,
  { verb, service, takesOver }: Pick<LockRequest, "verb" | "service"> & { takesOver: boolean },
): Promise<Deploy["lock"]> {
  const { deploy } = await fetchRecord(bus, service);
  const error = judgeVerb(verb, service, deploy.deploy);
  if (deploy.lock === null) {
    if (error) throw error;
    return null;
  }
  if (!takesOver) throw new HeldByError(service, deploy.lock, { renewed: false });
  return watchLock(bus, service, ({ holder, leaseMs }) =>
    output.line(`waiting ${Math.ceil(leaseMs / 1000)} s to see whether ${holder} is alive`),
  );
}

/** Writes down why a run has ended, and gives the lock back. @returns the first cause: that the lock is lost explains all that follows */
async function recordHalt(work: DeployContext, error: unknown): Promise<unknown> {
  const { lock, report } = work;
  const deploy = lock.deploy.deploy;
  const isUnderWay = deploy !== null && deploy.endedAt === null;
  if (error instanceof ControllerError) error.summary = runSummary(work, "halted", isUnderWay);
  if (error instanceof LockLostError || error instanceof BusUnreachableError) return error;
  const { code, message } = inWords(error);
  const halted = { code, message: message.slice(0, 4096), at: new Date().toISOString() };
  if (isUnderWay) {
    report.end();
    report.event(`the deploy of ${deploy.version} halted in step ${deploy.step}: ${message.slice(0, 1024)}`, {
      version: deploy.version,
      code,
    });
  }
  try {
    await lock.release(isUnderWay ? inDeploy((now) => ({ ...now, halted })) : undefined);
    return error;
  } catch (failure) {
    if (failure instanceof LockLostError) {
      failure.summary = runSummary(work, "halted", isUnderWay);
      return failure;
    }
    report.warn(`the lock could not be given back: ${(failure as Error).message}`);
    return error;
  }
}

/** Whether a verb has nothing to do with the recorded deploy. */
function isApart(verb: DeployVerb): boolean {
  return verb === "converge" || verb === "shutdown";
}

function inWords(error: unknown): { code: string; message: string } {
  if (error instanceof EndedBySignalError)
    return { code: error.code, message: error.message.replace("ended", "interrupted") };
  if (error instanceof ControllerError) return error;
  return toSlotdError(error);
}
