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
