import { type PhaseReport, Users, type UsersReport } from "../../../../test/support/users/users.ts";
import type { Run } from "../run.ts";
import { median } from "../statistics.ts";

export interface Crowd {
  users: number;
  /** Calls of all of them together; pages and assets come on top. */
  requestsPerSecond: number;
}

type Count = "requests" | "failed" | "wrongVersion" | "reloads" | "flipFlops" | "futileReloads" | "brokenPages";

/** What users of one fleet saw, one crowd after the other. */
export class Visits {
  readonly reports: UsersReport[] = [];

  constructor(
    private readonly urls: readonly string[],
    private readonly crowd: Crowd,
  ) {}

  /**
   * Has a crowd of its own there while something is done. Its page reloads whenever an answer comes from another
   * version: how often that happens is up to the fleet, then, and not to the page's client.
   */
  async during(run: Run, use: (users: Users) => Promise<void>): Promise<void> {
    const users = await Users.start({ ...this.crowd, urls: this.urls, client: "naive" });
    run.own(() => users.kill());
    await use(users);
    this.reports.push(await users.stop());
  }

  get phases(): PhaseReport[] {
    return this.reports.flatMap(({ phases }) => Object.values(phases));
  }

  sum(key: Count): number {
    return this.phases.reduce((total, phase) => total + phase[key], 0);
  }

  /** How long answers took: medians of the phases. */
  latencyMs(quantile: "p50Ms" | "p99Ms"): number {
    return median(this.phases.filter(({ requests }) => requests > 0).map((phase) => phase[quantile]));
  }

  /** Of a user, within one phase. */
  get mostReloads(): number {
    return Math.max(0, ...this.phases.map(({ mostReloadsOfAUser }) => mostReloadsOfAUser));
  }

  /** How often each failure was seen. */
  get failures(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const { failures } of this.phases)
      for (const [kind, count] of Object.entries(failures)) all[kind] = (all[kind] ?? 0) + count;
    return all;
  }
}
