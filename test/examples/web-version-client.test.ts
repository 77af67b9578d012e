import assert from "node:assert/strict";
import { join } from "node:path";
import { beforeEach, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { repository } from "../support/release.ts";

interface Options {
  version: string;
  notify(version: string): void;
  mayReload?: () => boolean;
  fetch: typeof fetch;
  storage(): Pick<Storage, "getItem" | "setItem">;
  location: { href: string; origin: string; reload(): void };
  now(): number;
}
type Storage = { getItem(key: string): string | null; setItem(key: string, value: string): void };
type Client = (options: Options) => typeof fetch;

const file = pathToFileURL(join(repository, "examples/web/public/version-client.js")).href;
const { versionClient } = (await import(file)) as { versionClient: Client };

/** A tab of a browser: what outlives a reload, and what is done to it. */
class Tab {
  nowMs = 1_800_000_000_000;
  reloads = 0;
  notices: string[] = [];
  /** Who answers; null: an answer without the header. */
  answers: string | null = "1";
  asked: { url: string; version: string | null }[] = [];
  storage: () => Storage;
  private readonly kept = new Map<string, string>();

  constructor() {
    this.storage = () => ({
      getItem: (key) => this.kept.get(key) ?? null,
      setItem: (key, value) => void this.kept.set(key, value),
    });
  }

  /** A page that was just loaded. */
  page(version: string, more: Partial<Options> = {}): typeof fetch {
    return versionClient({
      version,
      notify: (other) => this.notices.push(other),
      fetch: async (input, init) => {
        const url = input instanceof Request ? input.url : String(input);
        this.asked.push({ url, version: new Headers(init?.headers).get("X-App-Version") });
        return new Response("{}", { headers: this.answers === null ? {} : { "X-App-Version": this.answers } });
      },
      storage: () => this.storage(),
      location: { href: "https://web.example/page", origin: "https://web.example", reload: () => this.reloads++ },
      now: () => this.nowMs,
      ...more,
    });
  }
}

describe("the page's client", () => {
  let tab: Tab;
  beforeEach(() => {
    tab = new Tab();
  });

  it("names the page's version with each call, beside what the caller sends, and hands on the answer", async () => {
    const call = tab.page("1");
    const response = await call("/api/quote", { method: "POST", headers: { "content-type": "text/plain" } });
    assert.equal(await response.text(), "{}");
    await call(new URL("https://web.example/api/echo"));
    await call(new Request("https://web.example/api/request", { headers: { accept: "text/html" } }));
    assert.deepEqual(
      tab.asked.map(({ version }) => version),
      ["1", "1", "1"],
    );
    assert.deepEqual([tab.reloads, tab.notices], [0, []]);
  });

  it("tells other sites nothing, and takes nothing from them", async () => {
    const call = tab.page("1");
    tab.answers = "9";
    await call("https://cdn.example/x");
    assert.deepEqual(tab.asked, [{ url: "https://cdn.example/x", version: null }]);
    assert.equal(tab.reloads, 0);
  });

  it("is loaded anew once when another version answers, however many answers say so", async () => {
    const call = tab.page("1");
    tab.answers = "2";
    await Promise.all([call("/a"), call("/b"), call("/c")]);
    await call("/d");
    assert.deepEqual([tab.reloads, tab.notices], [1, []]);
  });

  it("shows a notice where the reload did not help: it brought the old page again", async () => {
    tab.answers = "2";
    await tab.page("1")("/a");
    for (let load = 0; load < 3; load++) {
      tab.nowMs += 3_600_000;
      await tab.page("1")("/a");
    }
    assert.deepEqual([tab.reloads, tab.notices], [1, ["2", "2", "2"]]);
  });

  it("never loops where two versions answer by turns, whatever the page comes from", async () => {
    for (let turn = 0; turn < 100; turn++) {
      tab.nowMs += 1_000;
      tab.answers = turn % 2 === 0 ? "2" : "1";
      await tab.page(turn % 2 === 0 ? "1" : "2")("/a");
    }
    assert(tab.reloads <= 2, `${tab.reloads} reloads`);
    assert(tab.notices.length >= 98);
  });

  it("is loaded anew for each later version, but not within a minute", async () => {
    tab.answers = "2";
    await tab.page("1")("/a");
    tab.nowMs += 59_999;
    tab.answers = "3";
    const page = tab.page("2");
    await page("/a");
    assert.deepEqual([tab.reloads, tab.notices], [1, ["3"]]);
    tab.nowMs += 1;
    await page("/a");
    assert.equal(tab.reloads, 2);
  });

  it("is not loaded anew where the page says that it must not be, and is as soon as it may", async () => {
    let typing = true;
    tab.answers = "2";
    const call = tab.page("1", { mayReload: () => !typing });
    await call("/a");
    assert.deepEqual([tab.reloads, tab.notices], [0, ["2"]]);
    typing = false;
    await call("/a");
    assert.equal(tab.reloads, 1);
  });

  it("is never loaded anew where nothing can be remembered, or what was is not to be read", async () => {
    tab.answers = "2";
    tab.storage = () => {
      throw new Error("denied");
    };
    await tab.page("1")("/a");
    tab.storage = () => ({ getItem: () => "no JSON", setItem: () => {} });
    await tab.page("1")("/a");
    tab.storage = () => ({
      getItem: () => null,
      setItem: () => {
        throw new Error("full");
      },
    });
    await tab.page("1")("/a");
    assert.deepEqual([tab.reloads, tab.notices], [0, ["2", "2", "2"]]);
  });

  it("does nothing about an answer that names no version, as one of an edge that has nobody to ask", async () => {
    tab.answers = null;
    await tab.page("1")("/a");
    assert.deepEqual([tab.reloads, tab.notices], [0, []]);
  });
});
