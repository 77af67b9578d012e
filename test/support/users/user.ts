import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Call, MakeClient } from "./client.ts";
import { type Answer, type Asked, type Connection, type SendError, send } from "./send.ts";
import type { Tally } from "./tally.ts";

/** The page's own origin, wherever its requests go. */
const ORIGIN = "http://web.example";
const SLOW = "/slow?ms=300";
const BODY = Buffer.alloc(1_000, "x");

export interface Habits {
  urls: readonly string[];
  switching: boolean;
  /** Between two calls, on average. */
  everyMs: number;
  /** One call in so many is slow; 0: none is. */
  slowEvery: number;
}

/**
 * A user with a browser: loads the page, its assets, and then makes calls, until an answer makes the page load itself
 * anew.
 */
export class User {
  /** The version of the page that is open; null before there is one. */
  private page: string | null = null;
  private call: Call | null = null;
  private toReload = false;
  private readonly agent: Agent | false;
  /** What the browser keeps: assets for ever, and the tab's own memory. */
  private readonly cache = new Set<string>();
  private readonly kept = new Map<string, string>();

  constructor(
    private readonly number: number,
    private readonly habits: Habits,
    private readonly makeClient: MakeClient,
    private readonly tally: Tally,
  ) {
    // By pairs, so that both kinds of users go to each of two edges.
    this.agent = (number >> 1) % 2 === 0 ? new Agent({ keepAlive: true }) : false;
  }

  /** Until the signal; a request that was begun comes to its end. */
  async live(signal: AbortSignal): Promise<void> {
    const { everyMs, slowEvery } = this.habits;
    let due = performance.now() + Math.random() * everyMs;
    for (let call = this.number; !signal.aborted; call++) {
      await sleep(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      // Who was kept waiting does not make up for it.
      due = Math.max(due + everyMs * (0.5 + Math.random()), performance.now());
      if (!this.call) await this.load();
      else if (slowEvery > 0 && call % slowEvery === 0) await this.call(SLOW, { method: "GET" }).catch(() => {});
      else if (call % 2 === 0) await this.call("/api/quote", { method: "GET" }).catch(() => {});
      else await this.call("/api/echo", { method: "POST" }).catch(() => {});
      if (this.toReload) await this.load();
    }
    if (this.agent) this.agent.destroy();
  }

  /** Opens the page, or loads it anew. What could not be loaded is tried again. */
  async load(): Promise<void> {
    const answer = await this.ask("GET", "/", null, {}).catch(() => null);
    const version = answer && /<meta name="app-version" content="([^"]+)"/.exec(answer.text)?.[1];
    if (!answer || !version) return;
    if (this.page !== null) this.tally.reloaded(this.number, this.page, version);
    this.page = version;
    this.toReload = false;
    const assets = [...answer.text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1] as string);
    const got = await Promise.all(assets.map((path) => this.asset(path, version)));
    if (got.includes(false)) this.tally.phase.brokenPages++;
    this.call = this.makeClient({
      version,
      fetch: async (path, { method, headers }) => {
        const { headers: got } = await this.ask(method as "GET", path, version, Object.fromEntries(headers));
        return { headers: { get: (name) => versionOf(got[name.toLowerCase()]) } };
      },
      notify: () => void this.tally.phase.notices++,
      storage: () => ({
        getItem: (key) => this.kept.get(key) ?? null,
        setItem: (key, value) => void this.kept.set(key, value),
      }),
      location: {
        href: `${ORIGIN}/`,
        origin: ORIGIN,
        reload: () => {
          this.toReload = true;
        },
      },
    });
  }

  /** Whether it was to be had, with what it imports. */
  private async asset(path: string, version: string): Promise<boolean> {
    if (this.cache.has(path)) return true;
    const answer = await this.ask("GET", path, version, {}).catch(() => null);
    if (answer?.status !== 200) return false;
    this.cache.add(path);
    const imports = path.includes(".js") ? answer.text.matchAll(/\bfrom "(\.\/[^"]+)"/g) : [];
    const urls = [...imports].map((match) => new URL(match[1] as string, `${ORIGIN}${path}`));
    const got = await Promise.all(urls.map(({ pathname, search }) => this.asset(`${pathname}${search}`, version)));
    return !got.includes(false);
  }

  /**
   * One request, which is counted.
   * @param asked the version that it names, in whichever way
   * @throws where it failed
   */
  private async ask(method: Asked["method"], path: string, asked: string | null, headers: Record<string, string>) {
    const { phase } = this.tally;
    const { urls, switching } = this.habits;
    // At random: by turns, what a page asks for would fall into step with who is asked.
    const turn = switching ? Math.floor(Math.random() * urls.length) : this.number;
    const base = urls[turn % urls.length] as string;
    const fromMs = performance.now();
    const { agent } = this;
    const count = (answered: string | null, failure: { code: string; text: string } | null, connection: Connection) => {
      const seen = failure && { code: failure.code, what: `${method} ${kindOf(path)}: ${failure.text}` };
      this.tally.add({ asked, answered, failure: seen, method, connection, fromMs, toMs: performance.now() }, phase);
    };
    let answer: Answer;
    try {
      const body = method === "POST" ? { body: BODY } : {};
      answer = await send({ method, url: new URL(path, base).href, headers, agent, ...body });
    } catch (error) {
      const { code, message: text, connection } = error as SendError;
      count(null, { code, text }, connection);
      throw error;
    }
    // An asset that is missing is the page's misfortune, and counted there.
    const failed = answer.status >= (path.startsWith("/assets/") ? 500 : 400);
    const status = `status ${answer.status}`;
    const failure = failed ? { code: status, text: status } : null;
    count(versionOf(answer.headers["x-app-version"]), failure, answer.connection);
    if (failed) throw new Error(status);
    return answer;
  }
}

function kindOf(path: string): string {
  return path.startsWith("/assets/") ? "an asset" : path;
}

function versionOf(header: string | string[] | undefined): string | null {
  return typeof header === "string" ? header : null;
}
