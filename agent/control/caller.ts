import { readFileSync } from "node:fs";

/** Who asks: a user of this host, as the kernel says, or somebody with a login to the bus. */
export type Caller = { uid: number | null } | "bus";

/**
 * A caller for the records. What the request itself says is a claim: it is recorded as such from the bus, and from
 * root, who may act for others (sudo); from anybody else it has no effect.
 */
export function callerText(caller: Caller, claim: string | undefined): string {
  if (caller === "bus") return `${claim ?? "unknown"} (over the bus)`;
  const { uid } = caller;
  if (uid === null) return "an unknown user";
  const user = `${userName(uid) ?? "user"} (uid ${uid})`;
  return uid === 0 && claim !== undefined ? `${user} for ${claim}` : user;
}

/** The user's name in /etc/passwd; null for one that is not in it. */
function userName(uid: number): string | null {
  try {
    const line = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((entry) => entry.split(":")[2] === String(uid));
    return line?.split(":")[0] ?? null;
  } catch {
    return null;
  }
}
