import { setMaxListeners } from "node:events";
import { hostname } from "node:os";
import type { Command } from "commander";
import { type BusSession, defaultTimeoutMs } from "../../../bus/session.ts";
import type { Deploy } from "../../../protocol/deploy.ts";
import { type Context, globalOptions, withBus } from "../../context.ts";
import { claimsOf, warnOfEpochs } from "../../orders/epochs.ts";
import { type DeployVerb, judgeVerb } from "../decisions/judge-verb.ts";
import { HeldByError } from "../deploy-errors.ts";
import type { RunOptions } from "../deploy-options.ts";
import { DeployReport } from "../show/deploy-report.ts";
import type { DeployContext } from "./deploy-context.ts";
import { type FleetView, withFleetView } from "./fleet-view.ts";
import { recordHalt } from "./record-halt.ts";
import { DeployEvents } from "./records/deploy-events.ts";
import { DeployLock } from "./records/deploy-lock.ts";
import { fetchRecord } from "./records/deploy-record.ts";
import { requireRoutes } from "./records/routes.ts";
import { watchLock } from "./records/watch-lock.ts";
import { type RunResult, runSummary } from "./run-result.ts";

const WAVE_MS = 10 * 60_000;

export interface LockRequest {
  verb: DeployVerb;
  service: string;
  options: RunOptions;
  /** Whether a lock that its holder does not renew is taken over. */
  takesOver?: boolean;
}

/** What a verb does once it has the lock. */
type LockedWork = (deployContext: DeployContext, view: FleetView) => Promise<RunResult>;

/** The bus of a verb that may take long: `--timeout` bounds its waves, not its requests. */
export function withFleetBus<T>(context: Context, command: Command, use: (bus: BusSession) => Promise<T>): Promise<T> {
  return withBus(context, command, use, { timeoutMs: defaultTimeoutMs });
}

/**
 * Works under the lock, with a new epoch. When the work fails, a deploy that is under way is recorded as halted, with
 * the reason. The lock is released except in two cases: another run has it, or the bus can't be reached.
 * @throws HeldByError, DeployStateError; LockLostError, FencedError, DeployHaltedError; what the work throws
 */
export function underLock(context: Context, command: Command, request: LockRequest, work: LockedWork): Promise<void> {
  const { service } = request;
  return withFleetBus(context, command, async (bus) => {
    const report = new DeployReport(context.output);
    // Wait for both, whatever happens: a stream that is opened while the connection closes would look missing.
    const opening = DeployEvents.open(bus, service, (text) => report.warn(text));
    const abandoned = await refuseEarly(context, bus, request).finally(() => opening);
    const events = await opening;
    await withFleetView(context, bus, service, async (view) => {
      const lock = await acquire(context, view, request, abandoned);
      const deployContext = contextOf(context, command, request, { ...view, lock, report, events });
      try {
        await runLocked(deployContext, view, request, work);
      } finally {
        lock.stop();
        report.close();
        await events.close();
      }
    });
  });
}

/**
 * Refuses a verb that does not fit before anything is changed, and watches a lock that another run has.
 * @returns a lock that may be taken over, since its holder did not renew it
 */
async function refuseEarly(
  { output }: Context,
  bus: BusSession,
  { verb, service, takesOver = false }: LockRequest,
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

/**
 * Takes the lock. @throws DeployStateError where the verb does not fit the record, which may have changed in between
 */
async function acquire(
  context: Context,
  { bus, orders, fleet, edges, routes }: FleetView,
  { verb, service, options }: LockRequest,
  abandoned: Deploy["lock"],
): Promise<DeployLock> {
  const issued = [...orders.known.map(({ epoch }) => epoch), routes?.epoch ?? 0];
  const applied = edges.all.flatMap(({ edge, status }) => (status ? [{ by: edge, epoch: status.epoch }] : []));
  const epochs = { issued, claims: [...claimsOf(fleet.statuses), ...applied] };
  const holder = `${context.user}@${hostname()} (pid ${process.pid})`;
  const { lease: leaseMs, patience: patienceMs } = options;
  const lock = await DeployLock.acquire(bus, service, { holder, leaseMs, patienceMs, epochs }, abandoned);
  const error = judgeVerb(verb, service, lock.deploy.deploy);
  // Where nothing is left to resume, `resume` still frees the lock that was left behind.
  warnOfEpochs(context.output, epochs, lock.epoch);
  if (error === null || (verb === "resume" && abandoned)) return lock;
  await lock.release();
  throw error;
}

function contextOf(
  context: Context,
  command: Command,
  { service, options }: LockRequest,
  parts: FleetView & Pick<DeployContext, "lock" | "report" | "events">,
): DeployContext {
  const signal = AbortSignal.any([parts.bus.signal, parts.lock.lost]);
  setMaxListeners(0, signal);
  return {
    ...parts,
    bus: parts.bus.under(signal, options.patience),
    service,
    by: options.by ?? context.user,
    bounds: { barrierMs: options.barrierTimeout, waveMs: globalOptions(command).timeout ?? WAVE_MS },
  };
}

async function runLocked(
  deployContext: DeployContext,
  view: FleetView,
  { verb, service }: LockRequest,
  work: LockedWork,
): Promise<void> {
  const { bus, lock, report } = deployContext;
  // These two have nothing to do with the recorded deploy.
  const withDeploy = verb !== "converge" && verb !== "shutdown";
  try {
    // Whoever had the lock a moment ago may have changed them.
    const { routes } = await requireRoutes(bus, service);
    const { change, outcome, text, facts } = await work(deployContext, { ...view, routes });
    await lock.release(change);
    report.finish(text, { ...runSummary(deployContext, outcome, withDeploy), ...facts });
  } catch (error) {
    throw await recordHalt(deployContext, error);
  }
}
