import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { AccountUnknownError, ConfigInvalidError } from "../../protocol/errors.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 10_000;

/** A user of this host, and the groups of its processes. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
  /** All groups except `gid`. */
  groups: number[];
  home: string;
  shell: string;
}

export interface AccountNames {
  user: string | number;
  /** The user's primary group by default. */
  group?: string | number | undefined;
  /** In addition to the user's own groups. */
  supplementary: readonly (string | number)[];
}

/** How long a lookup is reused, for workers that start together. */
const CACHE_MS = 10_000;

/** The account that a service's workers run as. */
export class AccountLookup {
  private last: { at: number; account: Promise<Account> } | null = null;

  /** @param names null: the agent's own user */
  constructor(private readonly names: AccountNames | null) {}

  /** @throws AccountUnknownError; ConfigInvalidError if the agent may not switch users. */
  async get(): Promise<Account | null> {
    if (!this.names) return null;
    if (!maySwitch())
      throw new ConfigInvalidError("app.user", "needs an agent that runs as root: this one may not switch users");
    const now = performance.now();
    if (!this.last || now - this.last.at > CACHE_MS) this.last = { at: now, account: findAccount(this.names) };
    try {
      return await this.last.account;
    } catch (error) {
      this.last = null;
      throw error;
    }
  }
}

/** CAP_SETGID and CAP_SETUID as bits of a set: capabilities(7). */
const SWITCHING = (1n << 6n) | (1n << 7n);

/** Whether this process may start processes as any user of the host. */
function maySwitch(): boolean {
  const [, effective] = /^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1")) ?? [];
  return effective !== undefined && (BigInt(`0x${effective}`) & SWITCHING) === SWITCHING;
}

/**
 * Looks up a user in all of the host's user databases: nsswitch.conf(5).
 * @throws AccountUnknownError naming the user or group.
 */
export async function findAccount({ user, group, supplementary }: AccountNames): Promise<Account> {
  const [name, , uid, ownGid, , home, shell] = await entry("passwd", user);
  const gid = group === undefined ? Number(ownGid) : await groupId(group);
  // The name, then the groups that list the user. With another `group`, its primary group is not among them.
  const [, ...member] = (await getent("initgroups", name as string, "user", user))
    .split(/\s+/)
    .filter(Boolean)
    .map(Number);
  const more = await Promise.all(supplementary.map(groupId));
  const groups = [...new Set([...member, ...more])].filter((each) => each !== gid);
  return { name: name as string, uid: Number(uid), gid, groups, home: home || "/", shell: shell || "/bin/sh" };
}

async function groupId(group: string | number): Promise<number> {
  const [, , gid] = await entry("group", group);
  return Number(gid);
}

async function entry(database: "passwd" | "group", key: string | number): Promise<string[]> {
  const kind = database === "passwd" ? "user" : "group";
  return (await getent(database, String(key), kind, key)).trimEnd().split(":");
}

async function getent(database: string, text: string, kind: "user" | "group", key: string | number): Promise<string> {
  try {
    return (await run("getent", ["--", database, text], { timeout: TIMEOUT_MS })).stdout;
  } catch (cause) {
    const { code, message } = cause as { code?: unknown; message: string };
    // getent exits with 2 for an unknown key.
    throw new AccountUnknownError(kind, key, code === 2 ? "" : (message.split("\n")[0] ?? ""), { cause });
  }
}
