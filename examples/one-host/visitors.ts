import { setMaxListeners } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { KV } from "@nats-io/kv";
import { type Member, memberSchema } from "../../protocol/member.ts";

/** The results of the requests so far. */
export interface Tally {
  requests: number;
  failed: number;
  /** Answers by the version that gave them. */
  byVersion: Record<string, number>;
  /** The first few failures, as sentences. */
  failures: string[];
}

interface Target {
  member: Member;
  /** The persistent connections to this target. */
  keepAlive: Agent;
  inFlight: number;
  withdrawn: boolean;
}

const PAUSE_MS = 4;
const TIMEOUT_MS = 15_000;
const SHOWN_FAILURES = 5;

/**
 * Visitors of the web app, who find it in the serverset as an edge would: they use members that are ALIVE, leave a
 * version when its member is withdrawn, and finish their requests. Each in turn loads the page, makes an XHR, and
 * posts; half of them over persistent connections.
 */
export class Visitors {
  readonly tally: Tally = { requests: 0, failed: 0, byVersion: {}, failures: [] };
  private readonly targets = new Map<string, Target>();
  private readonly stopped = new AbortController();
  private readonly running: Promise<void>[] = [];

  constructor(
    private readonly serversets: KV,
    private readonly service: string,
  ) {}

  /** Starts to follow the serverset. */
  async follow(): Promise<void> {
    const watch = await this.serversets.watch({ key: `${this.service}.>` });
    this.stopped.signal.addEventListener("abort", () => watch.stop());
    await new Promise<void>((resolve) => {
      void (async () => {
        resolve();
        for await (const { key, operation, value } of watch) {
          const member = operation === "PUT" ? memberSchema.parse(JSON.parse(Buffer.from(value).toString())) : null;
          this.update(key, member?.status === "ALIVE" ? member : null);
        }
      })();
    });
  }

  /** The versions that are served now. */
  get versions(): string[] {
    return [...new Set([...this.targets.values()].map(({ member }) => member.metadata.version as string))].sort();
  }

  start(count: number): void {
    setMaxListeners(count + 1, this.stopped.signal);
    for (let number = 0; number < count; number++) this.running.push(this.visit(number % 2 === 0));
  }

  /** Lets the requests in flight finish. */
  async stop(): Promise<Tally> {
    this.stopped.abort();
    await Promise.all(this.running);
    for (const [key] of this.targets) this.update(key, null);
    return this.tally;
  }

  private update(key: string, member: Member | null): void {
    const known = this.targets.get(key);
    if (known && member && known.member.metadata.version === member.metadata.version) return;
    if (known) {
      known.withdrawn = true;
      this.targets.delete(key);
      this.closeWhenIdle(known);
    }
    if (member)
      this.targets.set(key, { member, keepAlive: new Agent({ keepAlive: true }), inFlight: 0, withdrawn: false });
  }

  private closeWhenIdle(target: Target): void {
    if (target.withdrawn && target.inFlight === 0) target.keepAlive.destroy();
  }

  private async visit(persistent: boolean): Promise<void> {
    const kinds = [
      { method: "GET", path: "/" },
      { method: "GET", path: "/api/quote" },
      { method: "POST", path: "/api/echo" },
    ];
    for (let turn = 0; !this.stopped.signal.aborted; turn++) {
      const targets = [...this.targets.values()];
      const target = targets[Math.floor(Math.random() * targets.length)];
      if (target) await this.call(target, kinds[turn % kinds.length] as (typeof kinds)[number], persistent);
      await sleep(PAUSE_MS, undefined, { signal: this.stopped.signal }).catch(() => {});
    }
  }

  private async call(
    target: Target,
    { method, path }: { method: string; path: string },
    persistent: boolean,
  ): Promise<void> {
    const expected = target.member.metadata.version as string;
    target.inFlight++;
    this.tally.requests++;
    try {
      const version = await send(target, method, path, persistent);
      this.tally.byVersion[version] = (this.tally.byVersion[version] ?? 0) + 1;
      if (version !== expected) throw new Error(`answered as ${version}`);
    } catch (error) {
      this.tally.failed++;
      if (this.tally.failures.length < SHOWN_FAILURES)
        this.tally.failures.push(`${method} ${path} to ${expected}: ${(error as Error).message}`);
    } finally {
      target.inFlight--;
      this.closeWhenIdle(target);
    }
  }
}

/**
 * One request. Resolves with the version that answered; rejects unless the answer is complete and its status below 400.
 */
function send(target: Target, method: string, path: string, persistent: boolean): Promise<string> {
  const { host, port } = target.member.serviceEndpoint;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host, port, method, path, agent: persistent ? target.keepAlive : false, timeout: TIMEOUT_MS },
      (response) => {
        response.resume();
        response.once("error", reject);
        response.once("end", () => {
          const status = response.statusCode ?? 0;
          if (status >= 400) reject(new Error(`status ${status}`));
          else resolve(String(response.headers["x-app-version"]));
        });
      },
    );
    outgoing.once("error", reject);
    outgoing.once("timeout", () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    outgoing.end(method === "POST" ? "x".repeat(1000) : undefined);
  });
}
