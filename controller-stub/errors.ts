import { SlotdError } from "../protocol/errors.ts";

/** How the command ends. */
export const exitCodes = { done: 0, failed: 1, usage: 2, busUnreachable: 3 } as const;

/** A failure that only whoever runs the command sees; it never crosses the wire. */
export abstract class ControllerError extends Error {
  abstract readonly code: string;
  readonly exitCode: number = exitCodes.failed;
  /** What `--json` shows of the work that the failure ended, beside the error. */
  summary: Record<string, unknown> = {};

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  /** What `--json` shows beside code and message. */
  facts(): Record<string, unknown> {
    return {};
  }
}

/** An argument or option breaks a rule. */
export class ArgumentError extends ControllerError {
  readonly code = "USAGE";
  override readonly exitCode = exitCodes.usage;
  constructor(
    readonly field: string,
    rule: string,
    options?: ErrorOptions,
  ) {
    super(`${field} ${rule}`, options);
  }

  override facts() {
    return { field: this.field };
  }
}

/** A deploy to nobody is not a success. */
export class NoHostsError extends ControllerError {
  readonly code = "NO_HOSTS";
  constructor(service: string, why?: string) {
    super(why ?? `no host of ${service} has reported in the last day; start slotd there, or name hosts with --host`);
  }
}

/** The version is taken by other content. */
export class VersionTakenError extends SlotdError {
  readonly code = "DIGEST_MISMATCH";
  constructor(
    service: string,
    version: string,
    readonly published: string,
    readonly offered: string,
  ) {
    super(
      `${service} ${version} is published with sha256 ${published}, but this archive has ${offered}; ` +
        "publish it under a new version, a version never changes",
      { field: "version" },
    );
  }
}

/** How an order ended on a host where it is not done. */
export interface HostFailure {
  host: string;
  outcome: string;
  code: string;
  message: string;
}

/** On some host the order ended otherwise than in `done`, or had no outcome in time. */
export class OrderNotDoneError extends ControllerError {
  readonly code: string;
  readonly missingMessage: string;
  constructor(
    readonly orderId: string,
    readonly failures: readonly HostFailure[],
    readonly missing: readonly string[],
    readonly waitedMs: number,
  ) {
    const late = `no outcome within ${waitedMs} ms from ${missing.join(", ")}; look at \`slotd-controller status\``;
    super([...failures.map(describe), ...(missing.length > 0 ? [late] : [])].join("; "));
    this.code = failures[0]?.code ?? "WAIT_TIMEOUT";
    this.missingMessage = late;
  }

  override facts() {
    return { orderId: this.orderId, hosts: this.failures, missing: this.missing };
  }
}

/** The person at the keyboard, or the service manager, ended the command. */
export class EndedBySignalError extends ControllerError {
  readonly code = "INTERRUPTED";
  constructor(
    signal: string,
    override readonly exitCode: number,
  ) {
    super(`ended by ${signal}`);
  }
}

function describe({ host, outcome, message }: HostFailure): string {
  return `${host} ${outcome}: ${message}`;
}
