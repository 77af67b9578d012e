import { BusUnreachableError, toSlotdError } from "../../../protocol/errors.ts";
import { ControllerError, EndedBySignalError } from "../../errors.ts";
import { LockLostError } from "../deploy-errors.ts";
import { type DeployContext, inDeploy } from "./deploy-context.ts";
import { runSummary } from "./run-result.ts";

/**
 * Records why a run has ended, and releases the lock.
 * @returns the error to report: the loss of the lock, if that came out, since it explains all that followed
 */
export async function recordHalt(context: DeployContext, error: unknown): Promise<unknown> {
  const { lock, report } = context;
  const { deploy } = lock.deploy;
  const isUnderWay = deploy !== null && deploy.endedAt === null;
  if (error instanceof ControllerError) error.summary = runSummary(context, "halted", isUnderWay);
  if (error instanceof LockLostError || error instanceof BusUnreachableError) return error;
  const { code, message } = describeError(error);
  if (isUnderWay) {
    report.endStep();
    const text = `the deploy of ${deploy.version} halted in step ${deploy.step}: ${message.slice(0, 1024)}`;
    context.events.send(text, { version: deploy.version, code });
  }
  const halted = { code, message: message.slice(0, 4096), at: new Date().toISOString() };
  try {
    await lock.release(isUnderWay ? inDeploy((now) => ({ ...now, halted })) : undefined);
    return error;
  } catch (failure) {
    if (failure instanceof LockLostError) {
      failure.summary = runSummary(context, "halted", isUnderWay);
      return failure;
    }
    report.warn(`the lock could not be released: ${(failure as Error).message}`);
    return error;
  }
}

function describeError(error: unknown): { code: string; message: string } {
  if (error instanceof EndedBySignalError)
    return { code: error.code, message: error.message.replace("ended", "interrupted") };
  if (error instanceof ControllerError) return error;
  return toSlotdError(error);
}
