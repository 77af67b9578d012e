import type { Deploy } from "../../protocol/deploy.ts";
import { ControllerError } from "../errors.ts";

type Lock = NonNullable<Deploy["lock"]>;

/** Another run of the controller is changing this service. */
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
          ? "it is running: wait until it is done, or stop it"
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
    const who = lock === null ? "it was removed" : `${lock.holder} took it over at ${lock.since} (epoch ${lock.epoch})`;
    super(`the lock of ${service} was lost: ${who}; this run has stopped`);
  }
}

/** Something in the bucket has a later epoch than this run. */
export class FencedError extends ControllerError {
  readonly code = "FENCED";
  constructor(what: string, epoch: number, own: number) {
    super(
      `${what} has epoch ${epoch}, later than this run's ${own}: another run came after it; nothing more was ordered`,
    );
  }
}

export class AlreadyCurrentError extends ControllerError {
  readonly code = "ALREADY_CURRENT";
  constructor(service: string, version: string) {
    super(`${version} is already the default of ${service}; \`converge\` installs it on hosts that lack it`);
  }
}

/** The routes are gone from the bus, so nobody knows for sure what must not be replaced. */
export class RoutesLostError extends ControllerError {
  readonly code = "ROUTES_LOST";
  constructor(
    service: string,
    version: string,
    private readonly lost: { live: readonly string[]; evidence: readonly string[] },
  ) {
    const live = lost.live.length === 1 ? (lost.live[0] as string) : "LIVE";
    super(
      `the routes of ${service} are gone from the bus, but this is no first deploy: ${lost.evidence.join("; ")}. ` +
        `\`deploy ${service} ${live}\` restores them (\`publish\` it again first, if its release is gone, too); ` +
        `\`deploy ${service} ${version} --live ${live}\` goes on, with ${live} as the default until the switch`,
    );
  }

  override facts() {
    return { ...this.lost };
  }
}

/** A verb does not fit the step of the recorded deploy. */
export class DeployStateError extends ControllerError {
  constructor(
    readonly code: "NOT_PREPARED" | "DEPLOY_UNFINISHED" | "NO_DEPLOY" | "NOTHING_TO_ROLL_BACK",
    message: string,
  ) {
    super(message);
  }
}

/** A host that a deploy failed on. */
export interface FailedHost {
  host: string;
  slot: string;
  code: string;
  message: string;
}

export type HaltCode = "HOSTS_FAILED" | "WAIT_TIMEOUT" | "EDGES_MISSING" | "EDGES_REFUSED" | "MEMBERS_MISSING";

/** The deploy stops until an operator decides. What was done stays. */
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

/** A host has no slot for another version. */
export class PlanError extends ControllerError {
  readonly code = "PLAN_IMPOSSIBLE";
}

/** The version is the default, so it must not be removed. */
export class InUseError extends ControllerError {
  readonly code = "VERSION_IN_USE";
}
