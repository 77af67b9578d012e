import type { ErrorCode } from "./error-codes.ts";

/** An error as it crosses the wire. */
export interface ErrorOnWire {
  code: string;
  message: string;
  field?: string;
  orderId?: string;
  at?: string;
}

interface Facts {
  cause?: unknown;
  field?: string;
  orderId?: string;
}

/** The root of all errors that users see. `code` is stable, `message` says what to do next, the stack stays here. */
export abstract class SlotdError extends Error {
  abstract readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly orderId: string | undefined;

  constructor(message: string, facts: Facts = {}) {
    super(redact(message), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.field = facts.field;
    this.orderId = facts.orderId;
  }

  /** For a person: `error CODE: message`. */
  lines(): string[] {
    return [`error ${this.code}: ${this.message}`];
  }

  toWire(): ErrorOnWire {
    return {
      code: this.code,
      message: this.message,
      ...(this.field !== undefined && { field: this.field }),
      ...(this.orderId !== undefined && { orderId: this.orderId }),
    };
  }
}

export class OrderMalformedError extends SlotdError {
  readonly code = "ORDER_MALFORMED";
  constructor(field: string, rule: string, facts: Facts = {}) {
    super(`order refused: ${field} ${rule}`, { ...facts, field });
  }
}

export class OrderConflictError extends SlotdError {
  readonly code = "ORDER_CONFLICT";
  constructor(orderId: string) {
    super(`order ${orderId} was used before with different content; issue it under a new id`, { orderId, field: "id" });
  }
}

export class StaleEpochError extends SlotdError {
  readonly code = "STALE_EPOCH";
  constructor(
    orderId: string,
    readonly epoch: number,
    readonly highest: number,
  ) {
    super(`order ${orderId} has epoch ${epoch}, but this slot has seen ${highest}; deploy again with a higher epoch`, {
      orderId,
      field: "epoch",
    });
  }
}

export class EpochTooHighError extends SlotdError {
  readonly code = "EPOCH_TOO_HIGH";
  constructor(
    orderId: string,
    readonly epoch: number,
    readonly highest: number,
  ) {
    super(
      `order ${orderId} has epoch ${epoch}, which is too far above ${highest}, the highest that this slot has seen; ` +
        "take epochs from the service's record in slotd-deploys",
      { orderId, field: "epoch" },
    );
  }
}

export class HostNameTakenError extends SlotdError {
  readonly code = "HOST_NAME_TAKEN";
  constructor(
    readonly key: string,
    other: string,
  ) {
    super(
      `another agent writes ${key}, too (${other}): both carry out each other's orders, and take turns in the routes; ` +
        "give each host a name of its own (host in slotd.toml; in keys, dots become underscores)",
    );
  }
}

export class SlotUnknownError extends SlotdError {
  readonly code = "SLOT_UNKNOWN";
  constructor(slot: string, known: readonly string[]) {
    super(`there is no slot ${slot} here; the slots are ${known.join(", ")}`, { field: "slot" });
  }
}

export class SlotStateError extends SlotdError {
  readonly code = "SLOT_STATE";
  constructor(slot: string, state: string, verb: string, why: string) {
    super(`can't ${verb} slot ${slot} while it is ${state}: ${why}`);
  }
}

export class VersionNotInstalledError extends SlotdError {
  readonly code = "VERSION_NOT_INSTALLED";
  constructor(slot: string, version: string, resident: string, facts: Facts = {}) {
    super(`slot ${slot} holds ${resident}, not ${version}; nothing was removed`, { ...facts, field: "version" });
  }
}

export class ReleaseNotFoundError extends SlotdError {
  readonly code = "RELEASE_NOT_FOUND";
  constructor(version: string, url: string, why: string, facts: Facts = {}) {
    super(`release ${version} is not at ${redact(url)} (${why}); publish it first`, { ...facts, field: "release.url" });
  }
}

export class ReleaseNotInstalledError extends SlotdError {
  readonly code = "RELEASE_NOT_INSTALLED";
  constructor(version: string, why: string) {
    super(`release ${version} can't be inspected: ${why}; slotctl releases lists what is installed`, {
      field: "version",
    });
  }
}

export class ReleaseUnreachableError extends SlotdError {
  readonly code = "RELEASE_UNREACHABLE";
  constructor(version: string, url: string, why: string, facts: Facts = {}) {
    super(`release ${version} could not be fetched from ${redact(url)}: ${why}`, { ...facts, field: "release.url" });
  }
}

export class ReleaseTooLargeError extends SlotdError {
  readonly code = "RELEASE_TOO_LARGE";
  constructor(
    what: string,
    bound: string,
    readonly limit: number,
  ) {
    super(`${what} is over ${limit} (${bound}); raise that bound or ship less`, { field: "release" });
  }
}

export class DigestMismatchError extends SlotdError {
  readonly code = "DIGEST_MISMATCH";
  constructor(
    version: string,
    readonly expected: string,
    readonly actual: string,
    where = "the archive",
    /** Where it came from, for people. */
    from = "",
  ) {
    const source = from && ` (${from})`;
    super(
      `${where} of ${version} has sha256 ${actual}, but ${expected} was ordered; publish it under a new version${source}`,
      { field: "release.sha256" },
    );
  }
}

export class SizeMismatchError extends SlotdError {
  readonly code = "SIZE_MISMATCH";
  constructor(
    version: string,
    readonly expected: number,
    readonly actual: number,
    /** Where it came from, for people. */
    from = "",
  ) {
    super(`the archive of ${version} has ${actual} bytes, but ${expected} were ordered${from && ` (${from})`}`, {
      field: "release.sizeBytes",
    });
  }
}

export class ReleaseConfigError extends SlotdError {
  readonly code = "RELEASE_CONFIG";
  constructor(version: string, key: string, rule: string) {
    super(`release ${version}: ${key} of its slotd.toml ${rule}`, { field: key });
  }
}

export class ReleaseUntrustedError extends SlotdError {
  readonly code = "RELEASE_UNTRUSTED";
  constructor(version: string, why: string) {
    super(`release ${version} is not trusted: ${why}; sign it with a key of [releases] trusted_keys`, {
      field: "release.signatures",
    });
  }
}

export class PackRefusedError extends SlotdError {
  readonly code = "PACK_REFUSED";
  constructor(
    readonly path: string,
    rule: string,
    facts: Facts = {},
  ) {
    super(`${JSON.stringify(path)} ${rule}; nothing was written`, facts);
  }
}

export class PackageInvalidError extends SlotdError {
  readonly code = "PACKAGE_INVALID";
  constructor(file: string, why: string, facts: Facts = {}) {
    super(`${file}: ${why}`, facts);
  }
}

export class PublishFailedError extends SlotdError {
  readonly code = "PUBLISH_FAILED";
  constructor(where: string, why: string, facts: Facts = {}) {
    super(`${redact(where)} did not take the release: ${why}`, facts);
  }
}

export class ArchiveUnsafeError extends SlotdError {
  readonly code = "ARCHIVE_UNSAFE";
  constructor(
    readonly entry: string,
    rule: string,
  ) {
    super(`the archive's entry ${JSON.stringify(entry)} ${rule}; the whole release was refused`, { field: "release" });
  }
}

export class ArchiveCorruptError extends SlotdError {
  readonly code = "ARCHIVE_CORRUPT";
  constructor(why: string, facts: Facts = {}) {
    super(`the archive can't be read: ${why}`, { ...facts, field: "release" });
  }
}

export class DiskFullError extends SlotdError {
  readonly code = "DISK_FULL";
  constructor(path: string, what: string, facts: Facts = {}) {
    super(`no room in ${path}: ${what}; free space or inodes there`, facts);
  }
}

export class PortTakenError extends SlotdError {
  readonly code = "PORT_TAKEN";
  constructor(
    readonly address: string,
    readonly owner: { pid: number; command: string } | null,
    remedy = "give the slot another port",
  ) {
    const who = owner ? `process ${owner.pid} (${owner.command})` : "a process that can't be seen from here";
    super(`${address} is taken by ${who}; end it or ${remedy}`);
  }
}

export class CommandNotFoundError extends SlotdError {
  readonly code = "COMMAND_NOT_FOUND";
  constructor(command: string, why: string) {
    super(
      `the app's command ${JSON.stringify(command)} can't be run (${why}); check [app] command and working_directory`,
    );
  }
}

export class AccountUnknownError extends SlotdError {
  readonly code = "ACCOUNT_UNKNOWN";
  constructor(kind: "user" | "group", name: string | number, why: string, facts: Facts = {}) {
    const reason = why ? ` (${why})` : "";
    super(`there is no ${kind} ${name} on this host${reason}; create it, or fix [app] in the configuration`, facts);
  }
}

export class SecretUnreadableError extends SlotdError {
  readonly code = "SECRET_UNREADABLE";
  constructor(variable: string, why: string, facts: Facts = {}) {
    super(`the secret ${variable} can't be read: ${why}; fix app.secrets.${variable} or the file`, {
      ...facts,
      field: `app.secrets.${variable}`,
    });
  }
}

export class CrashLoopError extends SlotdError {
  readonly code = "CRASH_LOOP";
  constructor(ends: number, withinMs: number, last: string, tail: string) {
    super(
      `the workers ended ${ends} times within ${withinMs} ms; the last one: ${last}${tail ? `; its last output: ${tail}` : ""}; ` +
        "order another version, or restart the slot",
    );
  }
}

export class WorkersExitedError extends SlotdError {
  readonly code = "WORKERS_EXITED";
  constructor(ends: number, last: string, tail: string) {
    super(
      `${ends} workers ended before the slot was ready; the last one: ${last}${tail ? `; its last output: ${tail}` : ""}`,
    );
  }
}

export class NotReadyError extends SlotdError {
  readonly code = "NOT_READY";
  constructor(ready: number, needed: number, timeoutMs: number, probe: string) {
    super(
      `${ready} of ${needed} workers were ready after ${timeoutMs} ms; the last probe: ${probe}; check [health], [readiness], [liveness] and the logs`,
    );
  }
}

export class NotAcceptingError extends SlotdError {
  readonly code = "NOT_ACCEPTING";
  constructor(port: number, ranMs: number, why: string, words: string) {
    const quoted = words ? `; the last output: ${words}` : "";
    super(`the workers ran for ${ranMs} ms but none accepted a connection on port ${port}: ${why}${quoted}`);
  }
}

export class StopFailedError extends SlotdError {
  readonly code = "STOP_FAILED";
  constructor(slot: string, why: string) {
    super(`slot ${slot} could not be stopped completely: ${why}`);
  }
}

export class DrainCancelledError extends SlotdError {
  readonly code = "DRAIN_CANCELLED";
  constructor(version: string) {
    super(`the drain of ${version} was cancelled by an operator; the same processes keep serving`);
  }
}

export class JournalCorruptError extends SlotdError {
  readonly code = "JOURNAL_CORRUPT";
  constructor(
    why: string,
    readonly setAside: string,
  ) {
    super(
      `the journal could not be read (${why}); it was moved to ${setAside}, and orders are read from the bus instead`,
    );
  }
}

export class JournalNewerError extends SlotdError {
  readonly code = "JOURNAL_NEWER";
  constructor(path: string, format: string, known: number) {
    super(
      `the journal ${path} has format ${format}, but this slotd knows ${known}: a newer version wrote it. Install that version again, ` +
        "or move the file away to start without its contents. Nothing was changed, and the workers keep running",
    );
  }
}

export class JournalUnwritableError extends SlotdError {
  readonly code = "JOURNAL_UNWRITABLE";
  constructor(path: string, cause: Error) {
    super(`the journal ${path} could not be written (${cause.message}); no order is carried out until it can be`, {
      cause,
    });
  }
}

/** A key of a configuration, and the rule that it breaks. */
export interface ConfigMistake {
  key: string;
  rule: string;
}

export class ConfigInvalidError extends SlotdError {
  readonly code = "CONFIG_INVALID";
  readonly mistakes: readonly ConfigMistake[];

  /** @param others further mistakes of the same file */
  constructor(key: string, rule: string, facts: Facts = {}, others: readonly ConfigMistake[] = []) {
    const mistakes = [{ key, rule }, ...others];
    super(`configuration: ${mistakes.map(inOneLine).join("; ")}`, { ...facts, field: key });
    this.mistakes = mistakes.map((each) => ({ key: each.key, rule: redact(each.rule) }));
  }

  override lines(): string[] {
    return this.mistakes.map((mistake) => `error ${this.code}: configuration: ${inOneLine(mistake)}`);
  }

  override toWire(): ErrorOnWire & { mistakes?: readonly ConfigMistake[] } {
    return { ...super.toWire(), ...(this.mistakes.length > 1 && { mistakes: this.mistakes }) };
  }
}

function inOneLine({ key, rule }: ConfigMistake): string {
  return `${key} ${rule}`;
}

export class AgentRunningError extends SlotdError {
  readonly code = "AGENT_RUNNING";
  constructor(path: string) {
    super(`another agent holds ${path}; stop it, or use another state directory`);
  }
}

export class AgentUnreachableError extends SlotdError {
  readonly code = "AGENT_UNREACHABLE";
  constructor(socket: string, why: string) {
    super(`no agent answers on ${socket} (${why}); start slotd, or name its socket with --socket`);
  }
}

export class AgentBusyError extends SlotdError {
  readonly code = "AGENT_BUSY";
  constructor(what: string, waiting: number) {
    super(`the agent is busy: ${waiting} requests for ${what} are running or waiting; try again later`);
  }
}

export class BusUnreachableError extends SlotdError {
  readonly code = "BUS_UNREACHABLE";
  constructor(servers: string, why: string, facts: Facts = {}) {
    super(
      `NATS at ${servers} did not answer (${why}); check the address, the credentials, and that JetStream is on`,
      facts,
    );
  }
}

export class VersionInUseError extends SlotdError {
  readonly code = "VERSION_IN_USE";
  constructor(version: string, by: string) {
    super(`${version} is in use by ${by}; stop routing to it first, or force with a reason`, { field: "version" });
  }
}

export class InternalError extends SlotdError {
  readonly code = "INTERNAL";
}

/** The error itself if it is a SlotdError; otherwise an INTERNAL error that wraps it. */
export function toSlotdError(error: unknown): SlotdError {
  if (error instanceof SlotdError) return error;
  return new InternalError(error instanceof Error ? error.message : inWords(error), { cause: error });
}

function inWords(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "a value that can't be printed was thrown";
  }
}

/** A text with the logins removed from every address in it: user and password, and the query (a signed address). */
export function redact(text: string): string {
  return text.replaceAll(/\/\/[^/\s]*@/g, "//***@").replaceAll(/(\w:\/\/[^\s?#"')]*)\?[^\s#"')]*/g, "$1?***");
}
