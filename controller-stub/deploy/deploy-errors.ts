import type { Deploy, RunningDeploy } from "../../protocol/deploy.ts";
import { ControllerError } from "../errors.ts";

type Lock = NonNullable<Deploy["lock"]>;

/** Another run of the controller changes this service. */
export class HeldByError extends ControllerError {
  readonly code = "HELD_BY";
  constructor(
    service: string,
    readonly lock: Lock,
    { renewed }: { renewed: boolean },
  ) {
    super(
      `${service} is being changed by ${lock.holder}, since ${lock.since} (epoch ${lock.epoch}); ` +
        (renewed
          ? "it is at work: wait until it is done, or end it"
          : "wait until it is done, or, if it is dead, use `resume`, `rollback` or `abort`"),
    );
  }

  override facts() {
    const { holder, since, epoch } = this.lock;
    return { holder, since, epoch };
  }
}

/** Another run took the lock over; this one has stopped. */
export class LockLostError extends ControllerError {
  readonly code = "LOCK_LOST";
  constructor(service: string, lock: Deploy["lock"]) {
    const who =
      lock === null ? "it was taken away" : `${lock.holder} took it over at ${lock.since} (epoch ${lock.epoch})`;
    super(`the lock of ${service} is lost: ${who}; this run has stopped`);
  }
}

/** Something in the bucket is of a later epoch than ours. */
export class FencedError extends ControllerError {
  readonly code = "FENCED";
  constructor(what: string, epoch: number, own: number) {
    super(`${what} is of epoch ${epoch}, and ours is ${own}: somebody else came later; nothing more was ordered`);
  }
}

export class AlreadyCurrentError extends ControllerError {
  readonly code = "ALREADY_CURRENT";
  constructor(service: string, version: string) {
    super(`${version} is the default of ${service} already; \`converge\` brings it to hosts that lack it`);
  }
}

/** A verb does not fit the step that the recorded deploy is in. */
export class DeployStateError extends ControllerError {
  constructor(
    readonly code: "NOT_PREPARED" | "DEPLOY_UNFINISHED" | "NO_DEPLOY" | "NOTHING_TO_ROLL_BACK",
    message: string,
  ) {
    super(message);
  }
}

export function unfinished(service: string, { version, step, halted, by }: RunningDeploy): DeployStateError {
  const why = halted === null ? "" : `, halted: ${halted.message}`;
  return new DeployStateError(
    "DEPLOY_UNFINISHED",
    `the deploy of ${service} ${version} by ${by} is in step ${step}${why}; use ` +
      (step === "prepared" ? "`promote`, `rollback` or `abort`" : "`resume`, `rollback` or `abort`"),
  );
}

/** A host that a deploy failed on. */
export interface FailedHost {
  host: string;
  slot: string;
  code: string;
  message: string;
}

export type HaltCode = "HOSTS_FAILED" | "WAIT_TIMEOUT" | "EDGES_MISSING" | "MEMBERS_MISSING";

/** The deploy does not go on by itself. What was done stays. */
export class DeployHaltedError extends ControllerError {
  constructor(
    readonly code: HaltCode,
    message: string,
    private readonly details: Record<string, unknown>,
  ) {
    super(message);
  }

  override facts() {
    return this.details;
  }
}

/** A host can't hold two versions, or a pattern means nobody. */
export class PlanError extends ControllerError {
  readonly code = "PLAN_IMPOSSIBLE";
}

/** The version is served, or it is the default. */
export class InUseError extends ControllerError {
  readonly code = "VERSION_IN_USE";
}
