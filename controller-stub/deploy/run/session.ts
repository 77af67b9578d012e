import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import type { Command } from "commander";
import { openBucket } from "../../../bus/buckets.ts";
import { type BusSession, defaultTimeoutMs } from "../../../bus/session.ts";
import type { Deploy } from "../../../protocol/deploy.ts";
import { BusUnreachableError, toSlotdError } from "../../../protocol/errors.ts";
import type { Routes } from "../../../protocol/routes.ts";
import { buckets } from "../../../protocol/subjects.ts";
import { type Context, globals, warnMalformed, withBus } from "../../context.ts";
import { ControllerError, InterruptedError } from "../../errors.ts";
import { highestEpoch } from "../../orders/epochs.ts";
import { type DeployVerb, judgeVerb } from "../decisions/judge-verb.ts";
import { summary } from "../decisions/summary.ts";
import { HeldByError, LockLostError } from "../deploy-errors.ts";
import type { RunOptions } from "../deploy-options.ts";
import { type DeployContext, inDeploy } from "./deploy-context.ts";
import { Lock, readRecord } from "./deploy-lock.ts";
import { OrderLedger } from "./order-ledger.ts";
import { Report } from "./report.ts";
import { readRoutes } from "./routes.ts";
import { watchLock } from "./take-over.ts";
import { Edges, Fleet } from "./views.ts";

/** How a run ends well. */
export interface Finish {
  /** The last change of the record, written as the lock is given back. */
  change?: (record: Deploy) => Deploy;
  outcome: string;
  text: string;
  /** What `--json` says beside that. */
  facts?: Record<string, unknown>;
}

const WAVE_MS = 10 * 60_000;

/** The fleet as it is, read and followed. */
export interface View {
  bus: BusSession;
  routes: Routes | null;
  fleet: Fleet;
  edges: Edges;
  orders: OrderLedger;
}

/** Reads everything that a plan needs. Changes nothing but to make buckets that are missing. */
export async function withView<T>(
  context: Context,
  bus: BusSession,
  service: string,
  use: (view: View) => Promise<T>,
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
      stopping(Edges.follow(bus, service)),
      OrderLedger.read(bus, service),
      readRoutes(bus, service),
      openBucket(bus, buckets.serversets),
    ]);
    return await use({ bus, routes, fleet, edges, orders });
  } finally {
    for (const stop of stops) stop();
  }
}

/** The bus of a verb that may take long: `--timeout` is for its waves, and not for a request. */
export function withFleetBus<T>(context: Context, command: Command, use: (bus: BusSession) => Promise<T>): Promise<T> {
  return withBus(context, command, use, { timeoutMs: defaultTimeoutMs });
}

export interface Session {
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
  { verb, service, options, takesOver = false }: Session,
  use: (work: DeployContext, view: View) => Promise<Finish>,
): Promise<void> {
  return withFleetBus(context, command, async (bus) => {
    // Both at once, and neither is left behind: a stream that is looked for while the connection is closed is not a missing one.
    const opening = Report.open(context.output, bus, service);
    const stale = await refuse(context, bus, { verb, service, takesOver }).finally(() => opening);
    const report = await opening;
    await withView(context, bus, service, async (view) => {
      const floor = Math.max(highestEpoch(view.orders.known, view.fleet.statuses), view.routes?.epoch ?? 0);
      const holder = `${context.user}@${hostname()} (pid ${process.pid})`;
      const { lease: leaseMs, patience: patienceMs } = options;
      const lock = await Lock.take(bus, service, { holder, leaseMs, patienceMs, floor }, stale);
      const signal = AbortSignal.any([bus.signal, lock.lost]);
      setMaxListeners(0, signal);
      const own = bus.under(signal, patienceMs);
      const bounds = { barrierMs: options.barrierTimeout, waveMs: globals(command).timeout ?? WAVE_MS };
      const by = options.by ?? context.user;
      const work: DeployContext = { ...view, bus: own, service, by, lock, report, bounds };
      const error = judgeVerb(verb, service, lock.deploy.deploy);
      if (error && !(verb === "resume" && stale)) {
        await lock.release();
        throw error;
      }
      try {
        // Whoever had the lock a moment ago may have changed them.
        const { routes } = await readRoutes(own, service);
        const { change, outcome, text, facts } = await use(work, { ...view, routes });
        await lock.release(change);
        report.finish(text, { ...summary(work, outcome, !isApart(verb)), ...facts });
      } catch (error) {
        throw await giveUp(work, error);
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
  bus: BusSession,
  { verb, service, takesOver }: Pick<Session, "verb" | "service"> & { takesOver: boolean },
): Promise<Deploy["lock"]> {
  const { deploy } = await readRecord(bus, service);
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
async function giveUp(work: DeployContext, error: unknown): Promise<unknown> {
  const { lock, report } = work;
  const deploy = lock.deploy.deploy;
  const isUnderWay = deploy !== null && deploy.endedAt === null;
  if (error instanceof ControllerError) error.summary = summary(work, "halted", isUnderWay);
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
      failure.summary = summary(work, "halted", isUnderWay);
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
  if (error instanceof InterruptedError)
    return { code: error.code, message: error.message.replace("ended", "interrupted") };
  if (error instanceof ControllerError) return error;
  return toSlotdError(error);
}
