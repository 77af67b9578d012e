import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { converge, makeReady, makeReleases } from "../../../support/crash-install/crash-store.ts";
import { Kills, listBoundaries } from "../../../support/crash-install/kills.ts";
import type { Owner } from "../../../support/crash-install/owner.ts";
import { useScratch } from "../support/scratch.ts";

/**
 * Few files, so that the kills fall upon every step of an install and of the clean-up after it. The benchmark
 * crash-install takes all.
 */
const FILES = 12;
const KILLS = 10;

describe("an install that is killed at a boundary between two of its calls", () => {
  const scratch = useScratch();

  for (const way of ["whole", "delta"] as const)
    it(`converges at the next start after each of ${KILLS} kills of a ${way} install, and all is as its manifest says`, async (t) => {
      const owner: Owner = { signal: t.signal, own: (cleanUp) => scratch.ends.push(cleanUp) };
      const releases = await makeReleases(owner, scratch.dir, FILES);
      const store = join(scratch.dir, "store");
      const release = releases.next[way];
      await makeReady(store, releases, t.signal);
      const all = await listBoundaries(owner, store, release, join(scratch.dir, "calls"));
      assert(all.length > KILLS, `${all.length} calls change the store`);
      const kills = new Kills(owner, store);
      const seen: string[] = [];
      // Spread over all of them, from the first to the last.
      for (let n = 0; n < KILLS; n++) {
        const call = all[Math.round((n * (all.length - 1)) / (KILLS - 1))] as string;
        await makeReady(store, releases, t.signal);
        const said = await kills.atCall(release, call);
        const { violations } = await converge(store, release, t.signal);
        assert.deepEqual(violations, [], `killed at ${call}, while ${said}`);
        seen.push(said);
      }
      t.diagnostic(`${all.length} calls change the store; killed while ${[...new Set(seen)].join(", ")}`);
      assert(new Set(seen).size > 1, "the kills fell upon more than one step");
    });
});
