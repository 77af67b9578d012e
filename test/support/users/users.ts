import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { FromUsers, ToUsers, UsersOptions } from "./messages.ts";
import type { UsersReport } from "./tally.ts";

export type { UsersOptions } from "./messages.ts";
export type { PhaseReport, Reload, SeenAnswer, SeenFailure, UsersReport } from "./tally.ts";
export { BUCKET_MS } from "./tally.ts";

const MAX_USERS = 5_000;
const MAX_RATE = 20_000;

/**
 * Simulated users of the web app, in a process of their own. Each opens the page at an edge, loads its assets, and
 * makes calls that name the page's version; its client loads the page anew when another version answers.
 */
export class Users {
  private constructor(private readonly child: ChildProcess) {}

  /**
   * Resolves when every user has tried to open the page. Whoever starts them has to stop or kill them.
   * @throws RangeError
   */
  static async start(options: UsersOptions): Promise<Users> {
    const { urls, users, requestsPerSecond } = options;
    if (urls.length === 0 || !urls.every((url) => URL.canParse(url) && url.startsWith("http://")))
      throw new RangeError(`urls must be http:// addresses, but are ${JSON.stringify(urls)}`);
    if (!Number.isInteger(users) || users < 1 || users > MAX_USERS)
      throw new RangeError(`users must be a whole number from 1 to ${MAX_USERS}, but is ${users}`);
    if (!(requestsPerSecond > 0 && requestsPerSecond <= MAX_RATE))
      throw new RangeError(`requestsPerSecond must be above 0 and at most ${MAX_RATE}, but is ${requestsPerSecond}`);
    const child = fork(new URL("./main.js", import.meta.url), [JSON.stringify(options)], { execArgv: [] });
    const started = new Users(child);
    try {
      await started.heard("ready");
    } catch (error) {
      await started.kill();
      throw error;
    }
    return started;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What begins from now on counts for this phase: a deploy, for example. */
  mark(name: string): void {
    this.say({ kind: "mark", name });
  }

  /** What they have seen so far. One at a time. */
  async report(): Promise<UsersReport> {
    const report = this.heard("report");
    this.say({ kind: "report" });
    return (await report).report;
  }

  /** Lets every request that was begun come to its end. */
  async stop(): Promise<UsersReport> {
    const report = this.heard("report");
    this.say({ kind: "stop" });
    const exited = once(this.child, "exit");
    const last = (await report).report;
    await exited;
    return last;
  }

  /** Ends them at once, also where they have ended. */
  async kill(): Promise<void> {
    if (this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await exited;
  }

  private say(message: ToUsers): void {
    if (this.child.connected) this.child.send(message);
  }

  private async heard<K extends FromUsers["kind"]>(kind: K): Promise<Extract<FromUsers, { kind: K }>> {
    const over = new AbortController();
    try {
      const ended = once(this.child, "exit", { signal: over.signal }).then(([code, signal]) => {
        throw new Error(`the users' process ended with ${code ?? signal}`);
      });
      const said = once(this.child, "message", { signal: over.signal });
      const [message] = (await Promise.race([said, ended])) as [FromUsers];
      if (message.kind !== kind) throw new Error(`the users' process said ${message.kind} instead of ${kind}`);
      return message as Extract<FromUsers, { kind: K }>;
    } finally {
      over.abort();
    }
  }
}
