import { didYouMean } from "../protocol/did-you-mean.ts";
import { SlotdError } from "../protocol/errors.ts";
import { exitCodes } from "../protocol/exit-codes.ts";

/** How many of many names a message has. */
const SHOWN = 8;

/** A failure that is shown by the command and never crosses the wire. */
export abstract class ControllerError extends Error {
  abstract readonly code: string;
  readonly exitCode: number = exitCodes.failed;
  /** What `--json` shows, beside the error, of the work that it ended. */
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

/** There is no host to work on. */
export class NoHostsError extends ControllerError {
  readonly code = "NO_HOSTS";
  constructor(service: string, why?: string) {
    super(why ?? `no host of ${service} has reported in the last day; start slotd there, or name hosts with --host`);
  }
}

/** Nothing on the bus is about the service. */
export class ServiceUnknownError extends ControllerError {
  readonly code = "SERVICE_UNKNOWN";
  constructor(service: string, known: readonly string[]) {
    const others = known.length === 0 ? "" : `; known services: ${known.slice(0, SHOWN).join(", ")}`;
    super(`nothing on the bus is about ${service}${didYouMean(service, known) || others}`);
  }
}

/** A host has never reported, so that nobody knows whether there is one of that name. */
export class HostUnknownError extends ControllerError {
  readonly code = "HOST_UNKNOWN";
  constructor(service: string, host: string, known: readonly string[]) {
    super(
      `no host ${host} of ${service} has reported in the last day${didYouMean(host, known)}; ` +
        "nothing was ordered (--unseen orders all the same: a host finds the order when it comes)",
    );
  }
}

/** The version was published with other content. */
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
        "publish it under a new version, or, if no host ever had it, with --replace",
      { field: "version" },
    );
  }
}

/** How an order ended on a host where it was not done. */
export interface HostFailure {
  host: string;
  outcome: string;
  code: string;
  message: string;
}

/** On some host the order was not done, or had no outcome in time. */
export class OrderNotDoneError extends ControllerError {
  readonly code: string;
  readonly missingMessage: string;
  constructor(
    readonly orderId: string,
    readonly failures: readonly HostFailure[],
    readonly missing: readonly string[],
    readonly waitedMs: number,
  ) {
    const late = `no outcome within ${waitedMs} ms from ${missing.join(", ")}; see \`slotd-controller status\``;
    super([...failures.map(describe), ...(missing.length > 0 ? [late] : [])].join("; "));
    this.code = failures[0]?.code ?? "WAIT_TIMEOUT";
    this.missingMessage = late;
  }

  override facts() {
    return { orderId: this.orderId, hosts: this.failures, missing: this.missing };
  }
}

/** A signal ended the command: Ctrl-C, or the service manager. */
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
