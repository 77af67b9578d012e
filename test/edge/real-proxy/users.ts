import { Agent } from "node:http";
import { ask, said } from "./ask.ts";

/**
 * Users that send one request after another: some over one connection, some over a new one each time; some with a body,
 * some without; some naming a version. They never retry.
 */
export class Users {
  readonly failures: string[] = [];
  /** The number of requests begun; each has its number as its path. */
  requests = 0;
  /** Responses by the version that they came from. */
  readonly versions = new Map<string, number>();
  private ending = false;
  private readonly all: Promise<void>[];

  /**
   * @param isServed whether a version is in the table; asked before and after each request
   */
  constructor(
    private readonly url: string,
    private readonly names: readonly (string | null)[],
    private readonly isServed: (version: string) => boolean,
    count = 8,
  ) {
    this.all = Array.from({ length: count }, (_, i) => this.user(i));
  }

  async end(): Promise<void> {
    this.ending = true;
    await Promise.all(this.all);
  }

  private async user(number: number): Promise<void> {
    const agent = new Agent({ keepAlive: number % 2 === 0, maxSockets: 1 });
    for (let i = 0; !this.ending; i++) {
      const name = this.names[(number + i) % this.names.length] ?? null;
      await this.one(agent, name, (number >> 1) % 2 === 0 ? "GET" : "POST");
    }
    agent.destroy();
  }

  private async one(agent: Agent, name: string | null, method: string): Promise<void> {
    const servedBefore = name !== null && this.isServed(name);
    this.requests++;
    try {
      const answer = await ask(this.url, {
        path: `/${this.requests}`,
        method,
        agent,
        headers: name === null ? {} : { "X-App-Version": name },
        ...(method === "POST" ? { body: "x".repeat(3_000) } : {}),
      });
      if (answer.status !== 200)
        return void this.failures.push(`${method} was answered ${answer.status} ${answer.body}`);
      const { version, bodyBytes } = said(answer);
      this.versions.set(version, (this.versions.get(version) ?? 0) + 1);
      if (answer.named !== version) this.failures.push(`${version} answered, and the edge said ${answer.named}`);
      if (method === "POST" && bodyBytes !== 3_000) this.failures.push(`${bodyBytes} bytes of a body arrived`);
      if (name !== null && servedBefore && this.isServed(name) && version !== name)
        this.failures.push(`asked for ${name}, which is served, and got ${version}`);
    } catch (error) {
      this.failures.push(`${method}: ${(error as NodeJS.ErrnoException).code ?? ""} ${(error as Error).message}`);
    }
  }
}
