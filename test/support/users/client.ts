import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { repository } from "../release.ts";
import type { UsersOptions } from "./messages.ts";

/** As much of a fetch() as a page's client uses. */
export interface Fetched {
  headers: { get(name: string): string | null };
}
export type Fetch = (path: string, init: { headers: Headers; method: string }) => Promise<Fetched>;
export type Call = (path: string, init: { method: string }) => Promise<Fetched>;

/** What a page's client is made with. */
export interface Page {
  version: string;
  fetch: Fetch;
  notify(version: string): void;
  storage(): { getItem(key: string): string | null; setItem(key: string, value: string): void };
  location: { href: string; origin: string; reload(): void };
}
export type MakeClient = (page: Page) => Call;

/** The client that ships with the example app, or one that reloads whenever an answer comes from another version. */
export async function clientMaker({ client, reloadPauseMs }: UsersOptions): Promise<MakeClient> {
  if (client === "naive") return naive;
  const file = pathToFileURL(join(repository, "examples/web/public/version-client.js")).href;
  const { versionClient } = (await import(file)) as { versionClient(page: Page & { pauseMs?: number }): Call };
  return (page) => versionClient({ ...page, ...(reloadPauseMs !== undefined && { pauseMs: reloadPauseMs }) });
}

function naive({ version, fetch, location }: Page): Call {
  return async (path, init) => {
    const fetched = await fetch(path, { ...init, headers: new Headers({ "x-app-version": version }) });
    const answered = fetched.headers.get("x-app-version");
    if (answered !== null && answered !== version) location.reload();
    return fetched;
  };
}
