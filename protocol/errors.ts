/** Every code that crosses the wire: what it means, and what to do next. docs/errors.md is made from this table. */
export const errorCodes = {
  ORDER_MALFORMED: [
    "An order is not JSON, or a field breaks a rule.",
    "Mend the named field and issue the order again.",
  ],
  ORDER_CONFLICT: ["An order's id was used before for another order.", "Issue the order under a new id."],
  STALE_EPOCH: [
    "An order's epoch is lower than one that the slot has seen.",
    "Read the current epoch and deploy again.",
  ],
  SLOT_UNKNOWN: ["No slot of this host has that name.", "Use one of the slots in the host's configuration."],
  SLOT_STATE: ["The slot's state does not allow this.", "Look at `slotctl status`, and wait for the step under way."],
  VERSION_NOT_INSTALLED: [
    "The slot does not hold the version to uninstall.",
    "Name the version that `slotctl status` shows.",
  ],
  VERSION_IN_USE: [
    "The version is the default, or an edge still routes to it.",
    "Stop routing to it first, or force with a reason.",
  ],
  RELEASE_NOT_FOUND: ["The archive is not at its address.", "Publish the release, and check the order's url."],
  RELEASE_NOT_INSTALLED: [
    "The host does not have that release, or knows too little of it.",
    "Use one of the versions that `slotctl releases` shows.",
  ],
  RELEASE_UNREACHABLE: [
    "The archive's source did not answer, or broke off.",
    "Check the source, then issue a new order.",
  ],
  RELEASE_TOO_LARGE: [
    "The archive, or what it unpacks to, is over a bound.",
    "Raise the bound in [releases], or ship less.",
  ],
  DIGEST_MISMATCH: [
    "Content has another SHA-256 than ordered.",
    "Publish under a new version; a version never changes.",
  ],
  SIZE_MISMATCH: [
    "The archive has another size than ordered.",
    "Take size and digest from `slotd-controller publish`.",
  ],
  RELEASE_CONFIG: [
    "What a release says of how it is run breaks a rule, or a bound of the host.",
    "Mend the release's slotd.toml, or what [releases] may_set allows.",
  ],
  RELEASE_UNTRUSTED: [
    "The release is not signed by a key that this host trusts.",
    "Sign it with a trusted key, or list the key in [releases] trusted_keys.",
  ],
  PACK_REFUSED: [
    "A directory can't be packed as a release.",
    "Mend the path that the message names, or leave it out in .slotdignore.",
  ],
  PACKAGE_INVALID: [
    "What describes a packed release can't be read, or is not of the files beside it.",
    "Pack the release again, or bring its files here again.",
  ],
  PUBLISH_FAILED: [
    "The place that a release is published to did not take it.",
    "Mend what the message says, and publish again: what is there already stays.",
  ],
  ARCHIVE_UNSAFE: [
    "An archive's entry would reach outside, or is not a plain file.",
    "Rebuild the archive without that entry.",
  ],
  ARCHIVE_CORRUPT: ["The archive can't be read to its end.", "Rebuild and publish it."],
  DISK_FULL: ["A write found no space, or a release would not fit.", "Free space or inodes in the state directory."],
  PORT_TAKEN: ["Another process listens on the slot's port.", "End that process, or give the slot another port."],
  COMMAND_NOT_FOUND: ["The app's command can't be run.", "Check [app] command and working_directory."],
  ACCOUNT_UNKNOWN: [
    "The workers' user, or one of their groups, is not known on this host.",
    "Create it, or mend [app] user, group and supplementary_groups.",
  ],
  SECRET_UNREADABLE: [
    "The value of one of the app's secrets can't be read.",
    "Mend the named entry of [app] secrets, or its file.",
  ],
  CRASH_LOOP: [
    "The workers of a slot that served ended again and again; it was taken away.",
    "Read `slotctl logs`; then order another version, or `slotctl restart` the slot.",
  ],
  WORKERS_EXITED: ["The workers ended before they were ready.", "Read `slotctl logs`; the message has the last lines."],
  NOT_READY: [
    "The workers ran but did not become ready in time.",
    "Check [health] path, what [readiness] and [liveness] ask for, and `slotctl logs`.",
  ],
  NOT_ACCEPTING: [
    "The workers ran but none accepted a connection.",
    "Make the app take the socket on fd 3 (LISTEN_FDS).",
  ],
  STOP_FAILED: [
    "A process of the slot could not be ended, or its port is not free.",
    "Look at the process that the message names.",
  ],
  DRAIN_CANCELLED: ["An operator took the drain back.", "Issue the order again when the version may go."],
  JOURNAL_CORRUPT: [
    "The journal could not be read and was set aside.",
    "Nothing: orders are read from the bus. Keep the file for a report.",
  ],
  JOURNAL_NEWER: [
    "The journal was written by a newer slotd.",
    "Install that version again. The workers run on meanwhile.",
  ],
  JOURNAL_UNWRITABLE: [
    "The journal could not be written.",
    "Mend the state directory; nothing is acted on until then.",
  ],
  CONFIG_INVALID: ["The configuration breaks a rule.", "Mend the named key; `slotd --check-config` checks."],
  AGENT_RUNNING: ["Another agent uses the state directory.", "Stop that agent, or use another state directory."],
  AGENT_UNREACHABLE: ["No agent answers on the control socket.", "Start slotd, or name its socket with --socket."],
  EDGE_RUNNING: ["Another slotd-edge uses the state directory.", "Stop that one, or use another state directory."],
  EDGE_STATE: [
    "The last good table of an edge could not be read from disk, or written.",
    "Mend the state directory. The edge goes on; without the bus it could not start again with that table.",
  ],
  ROUTES_MALFORMED: [
    "A service's routes break a rule, or were deleted; the last good ones stay.",
    "Write good routes: with the controller, not by hand.",
  ],
  ROUTES_STALE: [
    "The epoch of a service's routes is lower than one that the edge has applied; the last good ones stay.",
    "Find out who wrote them. Where the bus was set up anew, see docs/edge.md.",
  ],
  MEMBER_MALFORMED: [
    "A member of the serverset breaks a rule, or is not of its key. It is not used.",
    "Look at the named key, and at who writes it.",
  ],
  MEMBER_DIGEST: [
    "A member says that it serves a version, and serves another release than the routes mean. It gets no requests.",
    "Install the version again on that host.",
  ],
  ENDPOINTS_HELD_BACK: [
    "More endpoints vanished at once than an edge lets go; it keeps them.",
    "Find out why. If they are really gone, send SIGUSR1 to slotd-edge.",
  ],
  PROXY_REJECTED: [
    "An edge's proxy did not take its table; the one before stays.",
    "Read the message and the proxy's own log; it is tried again with the next change.",
  ],
  PROXY_DOWN: ["An edge's proxy does not answer.", "Start the proxy; it gets its table at once."],
  BUS_UNREACHABLE: ["NATS did not answer.", "Check the address, the credentials, and that JetStream is on."],
  INTERNAL: ["Something failed that nobody foresaw.", "Read the agent's log; report it."],
} as const satisfies Record<string, readonly [meaning: string, next: string]>;

export type ErrorCode = keyof typeof errorCodes;

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
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.field = facts.field;
    this.orderId = facts.orderId;
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
    super(`order ${orderId} was seen before with another content; issue it under a new id`, { orderId, field: "id" });
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
    super(`release ${version} can't be looked at: ${why}; slotctl releases shows what there is`, { field: "version" });
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
  ) {
    super(
      owner
        ? `${address} is taken by process ${owner.pid} (${owner.command}); end it or give the slot another port`
        : `${address} is taken by a process that can't be seen from here; end it or give the slot another port`,
    );
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
    super(`there is no ${kind} ${name} on this host${reason}; create it, or mend [app] in the configuration`, facts);
  }
}

export class SecretUnreadableError extends SlotdError {
  readonly code = "SECRET_UNREADABLE";
  constructor(variable: string, why: string, facts: Facts = {}) {
    super(`the secret ${variable} can't be read: ${why}; mend app.secrets.${variable}, or the file`, {
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
  constructor(port: number, timeoutMs: number) {
    super(
      `the workers ran for ${timeoutMs} ms but none accepted a connection on port ${port}: does the app support socket activation? ` +
        `It must listen on file descriptor 3 when LISTEN_FDS is set, not open the port itself`,
    );
  }
}

export class StopFailedError extends SlotdError {
  readonly code = "STOP_FAILED";
  constructor(slot: string, why: string) {
    super(`slot ${slot} could not be stopped wholly: ${why}`);
  }
}

export class DrainCancelledError extends SlotdError {
  readonly code = "DRAIN_CANCELLED";
  constructor(version: string) {
    super(`the drain of ${version} was taken back by an operator; it serves on with the same processes`);
  }
}

export class JournalCorruptError extends SlotdError {
  readonly code = "JOURNAL_CORRUPT";
  constructor(
    why: string,
    readonly setAside: string,
  ) {
    super(
      `the journal could not be read (${why}); it was set aside as ${setAside}, and the orders are read from the bus`,
    );
  }
}

export class JournalNewerError extends SlotdError {
  readonly code = "JOURNAL_NEWER";
  constructor(path: string, format: string, known: number) {
    super(
      `the journal ${path} has format ${format}, but this slotd knows ${known}: a newer version wrote it. Install that version again; ` +
        "to go on without what it holds, move the file away. Nothing was changed, and the workers run on",
    );
  }
}

export class JournalUnwritableError extends SlotdError {
  readonly code = "JOURNAL_UNWRITABLE";
  constructor(path: string, cause: Error) {
    super(`the journal ${path} could not be written (${cause.message}); nothing is acted on until it can be`, {
      cause,
    });
  }
}

export class ConfigInvalidError extends SlotdError {
  readonly code = "CONFIG_INVALID";
  constructor(key: string, rule: string, facts: Facts = {}) {
    super(`configuration: ${key} ${rule}`, { ...facts, field: key });
  }
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

export class EdgeRunningError extends SlotdError {
  readonly code = "EDGE_RUNNING";
  constructor(path: string) {
    super(`another slotd-edge holds ${path}; stop it, or use another state directory`);
  }
}

export class EdgeStateError extends SlotdError {
  readonly code = "EDGE_STATE";
}

export class RoutesMalformedError extends SlotdError {
  readonly code = "ROUTES_MALFORMED";
  constructor(why: string) {
    super(`the routes are not used: ${why}; the last good ones stay`);
  }
}

export class RoutesStaleError extends SlotdError {
  readonly code = "ROUTES_STALE";
  constructor(
    readonly epoch: number,
    readonly applied: number,
  ) {
    super(`the routes are not used: their epoch ${epoch} is lower than ${applied}; the last good ones stay`, {
      field: "epoch",
    });
  }
}

export class MemberMalformedError extends SlotdError {
  readonly code = "MEMBER_MALFORMED";
  constructor(
    readonly key: string,
    rule: string,
  ) {
    super(`the member is not used: ${rule}`);
  }
}

export class MemberDigestError extends SlotdError {
  readonly code = "MEMBER_DIGEST";
  constructor(
    readonly key: string,
    version: string,
  ) {
    super(`the member says ${version}, but serves another release than the routes mean by it; it is not used`, {
      field: "metadata.sha256",
    });
  }
}

export class EndpointsHeldBackError extends SlotdError {
  readonly code = "ENDPOINTS_HELD_BACK";
  constructor(readonly ids: readonly string[]) {
    const some = ids.slice(0, 5).join(", ") + (ids.length > 5 ? ", …" : "");
    super(`${ids.length} endpoints vanished at once and are kept: ${some}; SIGUSR1 to slotd-edge lets them go`);
  }
}

/** The proxy answered, and did not take a table. */
export class ProxyRejectedError extends SlotdError {
  readonly code = "PROXY_REJECTED";
}

/** The proxy does not answer. */
export class ProxyDownError extends SlotdError {
  readonly code = "PROXY_DOWN";
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

/** The error itself if it is one of ours, else an INTERNAL one around it. */
export function toSlotdError(error: unknown): SlotdError {
  if (error instanceof SlotdError) return error;
  return new InternalError(error instanceof Error ? error.message : inWords(error), { cause: error });
}

function inWords(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "something was thrown that has no words";
  }
}

/** An address, or a text with addresses in it, without the users and passwords that they may carry. */
export function redact(text: string): string {
  return text.replaceAll(/\/\/[^/\s]*@/g, "//***@");
}
