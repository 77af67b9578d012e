import { Users, type UsersReport } from "../../test/support/users/users.ts";

/**
 * Users who come in groups, and stay: those who come later load the page of the version that is the default by then. Their page is loaded
 * anew whenever an answer comes from another version; nothing on their side keeps them from doing that over and over.
 */
export class Crowd {
  private readonly groups: Users[] = [];

  /** Resolves when all of them have opened the page. */
  async come(urls: readonly string[], users: number, requestsPerSecond: number): Promise<void> {
    this.groups.push(await Users.start({ urls, users, requestsPerSecond, client: "naive" }));
  }

  /** What begins from now on counts for this phase. */
  mark(phase: string): void {
    for (const group of this.groups) group.mark(phase);
  }

  /** What they have seen so far, a report for each group. */
  reports(): Promise<UsersReport[]> {
    return Promise.all(this.groups.map((group) => group.report()));
  }

  /** Lets every request that was begun come to its end. */
  leave(): Promise<UsersReport[]> {
    return Promise.all(this.groups.map((group) => group.stop()));
  }

  /** Ends them at once. */
  async clear(): Promise<void> {
    await Promise.all(this.groups.map((group) => group.kill()));
  }
}
