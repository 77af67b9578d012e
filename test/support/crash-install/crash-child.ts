/**
 * Starts on a store, installs a release, and cleans up, saying what it begins. argv: the store's directory, the release
 * as JSON.
 */
import { writeSync } from "node:fs";
import type { Release } from "../../../protocol/release.ts";
import { cleanUpOf } from "./crash-store.ts";
import { openStore } from "./packages.ts";

const [directory, json] = process.argv.slice(2) as [string, string];
const release = JSON.parse(json) as Release;
const { signal } = new AbortController();
const options = { signal, onProgress() {} };
const say = (step: string) => writeSync(1, `${step}\n`);

say("starting");
const store = await openStore(directory);
say("fetching");
const fetched = await store.fetch(release, options);
say("unpacking");
await store.unpack(fetched, options);
say("cleaning up");
await cleanUpOf(store).run();
say("done");
