import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionCounter } from "../../../agent/drain/connection-counter.ts";
import type { TcpConnection } from "../../../agent/os/tcp-connections.ts";
import { idleConnection } from "../../support/tcp-connections.ts";
import { until } from "../../support/until.ts";

const nobodys = { has: () => false, keep: () => {} };

/** A list that keeps the processor busy for each whole slice; each slice, so many in all, gives one connection. */
function slowScans(slices: number) {
  const scans: { slices: number }[] = [];
  const open = (visit: (connection: TcpConnection) => void) => {
    const scan = { slices: 0 };
    scans.push(scan);
    return {
      read(forMs: number) {
        const end = performance.now() + forMs;
        while (performance.now() < end);
        visit(idleConnection);
        return ++scan.slices === slices;
      },
    };
  };
  return { open, scans };
}

describe("counting connections", () => {
  it("is done in slices, between which others get their turn, and each time anew", async () => {
    const { open, scans } = slowScans(10);
    const counter = new ConnectionCounter(open, nobodys, 0);
    let turns = 0;
    const others = setInterval(() => turns++, 1);
    const [one, two] = await Promise.all([counter.count(), counter.count()]);
    clearInterval(others);
    assert.deepEqual([one.open, two.open, scans.length], [10, 10, 2]);
    assert(turns >= 5, `${turns} turns`);
  });

  it("asks for a rest of many times what it has cost", async () => {
    const counter = new ConnectionCounter(slowScans(5).open, nobodys, 0);
    assert.equal(counter.restMs, 0);
    await counter.count();
    const { restMs } = counter;
    // Five slices of 4 ms each, however long they took on a busy machine.
    assert(restMs > 100 && restMs <= 20 * 20, `${restMs}`);
  });

  it("tells at once what is known where a look takes long, and does not look again before its rest", async () => {
    const { open, scans } = slowScans(5);
    const counter = new ConnectionCounter(open, nobodys, 0);
    assert.equal(counter.recent(), null);
    assert.equal(counter.recent(), null);
    assert.equal((await until("the look is complete", () => counter.recent())).open, 5);
    counter.recent();
    assert.equal(scans.length, 1);
  });

  it("tells nothing, and does not throw, where the kernel can't be asked; whoever needs a count is told", async () => {
    const refusing = () => {
      throw new Error("ENOBUFS");
    };
    const counter = new ConnectionCounter(refusing, nobodys, 0);
    assert.equal(counter.recent(), null);
    await assert.rejects(counter.count(), /ENOBUFS/);
  });

  it("looks at once where that is quick", () => {
    let looks = 0;
    const open = (visit: (connection: TcpConnection) => void) => ({
      read() {
        for (let i = 0; i <= looks; i++) visit(idleConnection);
        looks++;
        return true;
      },
    });
    const counter = new ConnectionCounter(open, nobodys, 0);
    assert.equal(counter.recent()?.open, 1);
  });

  it("goes on after a look that the kernel refused", async () => {
    let refuses = true;
    const open = (visit: (connection: TcpConnection) => void) => {
      let slices = 0;
      return {
        read() {
          if (++slices === 1) return false;
          if (refuses) throw new Error("refused");
          visit(idleConnection);
          return true;
        },
      };
    };
    const counter = new ConnectionCounter(open, nobodys, 0);
    assert.equal(counter.recent(), null);
    await assert.rejects(counter.count(), /refused/);
    refuses = false;
    assert.equal((await counter.count()).open, 1);
  });

  it("leaves out the agent's own, and tells which of them are still there", async () => {
    const own = { ...idleConnection, peer: "own" };
    const kept: string[][] = [];
    const open = (visit: (connection: TcpConnection) => void) => ({
      read() {
        for (const one of [idleConnection, own, idleConnection]) visit(one);
        return true;
      },
    });
    const ofAgent = {
      has: ({ peer }: TcpConnection) => peer === "own",
      keep: (peers: ReadonlySet<string>) => void kept.push([...peers]),
    };
    assert.equal((await new ConnectionCounter(open, ofAgent, 0).count()).open, 2);
    assert.deepEqual(kept, [["own"]]);
  });
});
