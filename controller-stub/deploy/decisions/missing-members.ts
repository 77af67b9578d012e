import type { Member } from "../../../protocol/member.ts";
import { hostToken } from "../../../protocol/names.ts";
import type { Release } from "../../../protocol/release.ts";
import { isOf } from "./host-verdict.ts";

/** A member, or why it can't be read. The KV revision is known only if the value was read, not if it was heard. */
export type KnownMember = ({ member: Member; stage: string } | { member: null; stage: string; problem: string }) & {
  revision?: number | undefined;
};

/** A slot in the whole fleet, as the end of its member's key names it: `HOST.SLOT`. */
export function slotId(host: string, slot: string): string {
  return `${hostToken(host)}.${slot}`;
}

/** A slot that edges must be able to send requests to. */
export interface ExpectedMember {
  host: string;
  slot: string;
  release: Pick<Release, "version" | "sha256" | "digests">;
}

export interface MissingMember {
  host: string;
  why: string;
}

/** The slots that no edge could send requests for the version to, with the reasons. */
export function missingMembers(
  members: ReadonlyMap<string, KnownMember>,
  expected: readonly ExpectedMember[],
): MissingMember[] {
  return expected.flatMap(({ host, slot, release }) => {
    const why = lack(members.get(slotId(host, slot)), release);
    return why === null ? [] : [{ host, why }];
  });
}

function lack(known: KnownMember | undefined, release: ExpectedMember["release"]): string | null {
  if (known === undefined) return "is not in the serverset";
  if (known.member === null) return `its member can't be read: ${known.problem}`;
  const { status, metadata } = known.member;
  if (metadata.version !== release.version) return `its member is of version ${metadata.version}`;
  if (status !== "ALIVE") return `its member is ${status}`;
  if (!isOf(release as Release, metadata.sha256 ?? "")) return `its member has another digest, ${metadata.sha256}`;
  return Number(metadata.capacity) >= 1 ? null : `its member has capacity ${metadata.capacity}`;
}
