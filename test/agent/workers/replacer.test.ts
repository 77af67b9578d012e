import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import { pino } from "pino";
import type { Worker } from "../../../agent/workers/process/worker.ts";
import { type Replaceable, Replacer } from "../../../agent/workers/replacer.ts";
import { type WorkerIndex, WorkerIndexes } from "../../../agent/workers/worker-index.ts";

const MINUTE_MS = 60_000;

interface Played {
  name: string;
  number: number;
  alive: boolean;
  ready: boolean;
}

describe("replacing workers", () => {
  afterEach(() => mock.restoreAll());

  /** A pool without processes, whose next workers come up or do not; it tells what was done to it. */
  const playedPool = (workers: number) => {
    const indexes = new WorkerIndexes(workers);
    const done: string[] = [];
    const luck = { comesUp: true, whole: true };
    let made = 0;
    const play = (number: number): Played => ({ name: `w${made++}`, number, alive: true, ready: true });
    for (const index of indexes.wanted) index.occupy(play(index.number) as unknown as Worker);
    const pool: Replaceable = {
      indexes,
      isHealthy: () => true,
      isWhole: () => luck.whole,
      notReady: () => new Error("not ready"),
      async addReplacement(index: WorkerIndex) {
        if (!luck.comesUp) throw new Error("it does not come up");
        const played = play(index.number);
        done.push(`+${played.name}`);
        const replacement = played as unknown as Worker;
        index.addReplacement(replacement);
        return replacement;
      },
      promoted: () => {},
      async retire(worker: Worker) {
        const played = worker as unknown as Played;
        played.alive = false;
        done.push(`-${played.name}`);
      },
      lastWords: async () => "",
      until: async (holds) => assert(holds()),
    };
    const replacer = new Replacer(pool, 1_000, pino({ level: "silent" }));
    const worker = (number: number) => indexes.at(number).worker as Worker;
    return { pool, replacer, luck, done, worker };
  };

  it("starts the replacement before the old worker is told to end", async () => {
    const { replacer, done, worker } = playedPool(2);
    assert.equal(await replacer.recycle(worker(1), "age"), true);
    assert.deepEqual(done, ["+w2", "-w1"]);
    await replacer.roll(new AbortController().signal, () => {});
    assert.deepEqual(done, ["+w2", "-w1", "+w3", "-w0", "+w4", "-w2"]);
  });

  it("is not tried again for a minute where the next one did not come up", async () => {
    let now = 0;
    mock.method(performance, "now", () => now);
    const { replacer, luck, done, worker } = playedPool(2);
    luck.comesUp = false;
    assert.equal(await replacer.recycle(worker(0), "age"), false);
    luck.comesUp = true;
    for (now of [0, 1_000, MINUTE_MS - 1]) assert.equal(await replacer.recycle(worker(1), "age"), false);
    assert.deepEqual(done, []);
    now = MINUTE_MS;
    assert.equal(await replacer.recycle(worker(1), "age"), true);
  });

  it("is begun by no rule while another one is replaced, fewer are ready than wanted, or all are to end", async () => {
    const { replacer, luck, done, worker } = playedPool(2);
    const both = await Promise.all([replacer.recycle(worker(0), "age"), replacer.recycle(worker(1), "age")]);
    assert.deepEqual(both, [true, false]);
    luck.whole = false;
    assert.equal(await replacer.recycle(worker(1), "age"), false);
    luck.whole = true;
    replacer.stop();
    assert.equal(await replacer.recycle(worker(1), "age"), false);
    assert.deepEqual(done, ["+w2", "-w0"]);
  });
});
