import { existsSync, lstatSync, realpathSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { ConfigInvalidError } from "../protocol/errors.ts";

const STICKY = 0o1000;
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;

/** Who a process is. */
export interface Identity {
  uid: number;
  gid: number;
}

/**
 * Refuses a state directory that another user could change or replace: it, all directories above it, and the links on
 * the way must belong to this process's user or to root, and nobody else may write to them. Above it, a sticky
 * directory such as /tmp is fine: there, others can't rename what isn't theirs.
 * @param path absolute, and existing
 * @throws ConfigInvalidError naming the directory and what is wrong with it.
 */
export function requireOwnDirectory(path: string, own: Identity = ownIdentity()): void {
  const real = realpathSync(path);
  const fault = faultOf(lstatSync(real), own, false);
  if (fault) throw refusal(path, real, fault);
  // The path as written, too: whoever can replace a link on it can replace the directory.
  for (const each of new Set([...above(real), path, ...above(path)])) {
    const fault = faultOf(lstatSync(each), own, true);
    if (fault) throw refusal(path, each, fault);
  }
}

/**
 * The same before the daemon starts, where the directory may not be there yet. Root checks for the user to whom the
 * directory belongs, because the daemon may run as that user.
 * @throws ConfigInvalidError as `requireOwnDirectory` does.
 */
export function checkOwnDirectory(path: string): void {
  const own = ownIdentity();
  if (existsSync(path)) {
    const { uid, gid } = lstatSync(realpathSync(path));
    requireOwnDirectory(path, own.uid === 0 ? { uid, gid } : own);
    return;
  }
  const parent = above(path).find(existsSync) ?? "/";
  for (const each of new Set([parent, ...above(parent)])) {
    const fault = faultOf(lstatSync(each), own, true);
    if (fault) throw refusal(path, each, fault);
  }
}

function refusal(path: string, where: string, why: string): ConfigInvalidError {
  const subject = where === path ? "it" : where;
  return new ConfigInvalidError(
    "state_directory",
    `can't be trusted: ${subject} ${why}, who could replace the files in ${path}; ` +
      `fix that with chown or chmod, or choose another directory`,
  );
}

function faultOf(stats: Stats, { uid, gid }: Identity, stickyIsFine: boolean): string | null {
  if (stats.uid !== 0 && stats.uid !== uid) return `belongs to user ${stats.uid}`;
  // A link's own mode says nothing.
  if (stats.isSymbolicLink() || (stickyIsFine && (stats.mode & STICKY) !== 0)) return null;
  if ((stats.mode & OTHERS_WRITE) !== 0) return "can be written to by every user";
  // The group that the daemon runs in was chosen for it. Who else is in it can't be told reliably.
  const ownGroup = uid !== 0 && stats.gid === gid;
  if ((stats.mode & GROUP_WRITE) !== 0 && stats.gid !== 0 && !ownGroup)
    return `can be written to by group ${stats.gid}`;
  return null;
}

/** The directories above a path, the nearest first. */
function above(path: string): string[] {
  const next = dirname(path);
  return next === path ? [] : [next, ...above(next)];
}

function ownIdentity(): Identity {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}
