import { Users, type UsersReport } from "../../test/support/users/users.ts";

/**
 * Users who arrive in groups, and stay: those who arrive later get the page of the version that is the default by then.
 * Their page reloads whenever an answer comes from another version; nothing on their side keeps it from doing that over
 * and over.
 */
export class Crowd {
  private readonly groups: Users[] = [];

  /** Resolves when all of them have opened the page. */
  async come(urls: readonly string[], users: number, requestsPerSecond: number): Promise<void> {
    this.groups.push(await Users.start({ urls, users, requestsPerSecond, client: "naive" }));
  }

  /** Requests that begin from now on count for this phase. */
  mark(phase: string): void {
    for (const group of this.groups) group.mark(phase);
  }

  /** What the users have seen so far, one report for each group. */
  reports(): Promise<UsersReport[]> {
    return Promise.all(this.groups.map((group) => group.report()));
  }

  /** Lets the requests in flight finish. */
  leave(): Promise<UsersReport[]> {
    return Promise.all(this.groups.map((group) => group.stop()));
  }

  /** Ends all users at once. */
  async clear(): Promise<void> {
    await Promise.all(this.groups.map((group) => group.kill()));
  }
}
