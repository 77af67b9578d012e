import { isDeepStrictEqual } from "node:util";
import type { Member } from "../../../protocol/member.ts";
import type { Host } from "../../../test/support/agent/host.ts";
import { MemberWatch, type Said } from "../../../test/support/fleet/member-watch.ts";
import { until } from "../../../test/support/until.ts";
import type { Run } from "./run.ts";

interface Expected {
  member: Member;
  /** When it was last written, by the clock of `performance.now`. */
  atMs: number;
}

/**
 * Members of the serverset that must stay as they are, watched as an edge does: nothing of them may change, and none
 * may go.
 */
export class Registrations {
  /** All that readers were told which differs. */
  readonly lost: Said[] = [];
  private longestMs = 0;

  private constructor(private readonly expected: ReadonlyMap<string, Expected>) {}

  static async start(run: Run, host: Host, slots: readonly string[]): Promise<Registrations> {
    const watch = await MemberWatch.start(host);
    run.own(() => watch.stop());
    await until(`the members of ${slots.join(", ")} were read`, () => slots.every((slot) => watch.members.has(slot)));
    const atMs = performance.now();
    const expected = slots.map((slot) => [slot, { member: watch.members.get(slot) as Member, atMs }] as const);
    const registrations = new Registrations(new Map(expected));
    watch.changed(() => registrations.take(watch.history.at(-1) as Said));
    return registrations;
  }

  /** The longest time that one of them was not written again: readers give up on it after the lease. */
  longestSilenceMs(): number {
    for (const expected of this.expected.values()) this.hear(expected);
    return this.longestMs;
  }

  private take(said: Said): void {
    const expected = this.expected.get(said.slot);
    if (!expected) return;
    this.hear(expected);
    if (!isDeepStrictEqual(said.member, expected.member)) this.lost.push(said);
  }

  private hear(expected: Expected): void {
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - expected.atMs);
    expected.atMs = now;
  }
}
