import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { Journal } from "../../../agent/journal/journal.ts";
import { emptySlotJournal } from "../../../agent/journal/schema.ts";
import { instanceToken } from "../../../agent/journal/token.ts";
import { fingerprint } from "../../../agent/slots/judge-order.ts";
import { JournalUnwritableError } from "../../../protocol/errors.ts";
import { orders, releases } from "../../support/arbitrary.ts";
import { repository } from "../../support/release.ts";

describe("the journal", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-journal-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("gives back after a restart what was written, each slot for itself", () => {
    const changes = fc.record({ order: orders, release: releases, proven: fc.boolean(), epoch: fc.nat() });
    fc.assert(
      fc.property(changes, fc.constantFrom("a", "b"), ({ order, release, proven, epoch }, slot) => {
        const journal = Journal.open(directory);
        const other = journal.slot(slot === "a" ? "b" : "a").current;
        journal.slot(slot).update({
          epoch,
          order: { order, outcome: "pending" },
          history: [{ id: order.id, fingerprint: fingerprint(order), outcome: "pending" }],
          resident: { release, epoch, proven },
        });
        const again = Journal.open(directory);
        assert.equal(again.lost, false);
        assert.deepEqual(again.slot(slot).current, journal.slot(slot).current);
        assert.deepEqual(again.slot(slot === "a" ? "b" : "a").current, other);
      }),
      { numRuns: 50 },
    );
  });

  it("knows nothing where there is none, and says that it was lost", () => {
    const journal = Journal.open(directory);
    assert.deepEqual(journal.slot("a").current, emptySlotJournal());
    assert.equal(journal.lost, true);
    assert.equal(journal.corrupt, null);
  });

  it("reads the file that version 0.1.0 wrote", () => {
    copyFileSync(join(repository, "test/fixtures/0.1.0/journal.json"), join(directory, "journal.json"));
    const journal = Journal.open(directory);
    assert.deepEqual([journal.corrupt, journal.lost], [null, false]);
    const [a, b] = [journal.slot("a").current, journal.slot("b").current];
    assert.deepEqual(
      [a.epoch, a.order?.outcome, a.resident?.release.version, a.resident?.proven, a.workers.length, a.history.length],
      [1, "done", "1", true, 2, 1],
    );
    assert.deepEqual([b.epoch, b.resident?.release.version, b.condemned?.code], [2, "2", "CRASH_LOOP"]);
  });

  it("forgets an epoch that no count of orders reaches, which an earlier agent took over from the bus", () => {
    const journal = Journal.open(directory);
    const [release] = fc.sample(releases, 1);
    assert(release);
    const epoch = Number.MAX_SAFE_INTEGER - 1;
    journal.slot("a").update({ epoch, resident: { release, epoch, proven: true } });
    journal.slot("b").update({ epoch: 1_800_000_000_000 });
    const again = Journal.open(directory);
    assert.equal(again.slot("a").current.epoch, 0);
    assert.equal(again.slot("a").current.resident?.epoch, 0);
    assert.equal(again.slot("b").current.epoch, 1_800_000_000_000);
  });

  it("sets aside whatever is no journal, and keeps it", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        writeFileSync(join(directory, "journal.json"), text);
        const { corrupt } = Journal.open(directory);
        assert.equal(corrupt?.code, "JOURNAL_CORRUPT");
        assert.equal(readFileSync(corrupt.setAside, "utf8"), text);
      }),
      { numRuns: 50 },
    );
  });

  it("keeps each of the files that it set aside", () => {
    for (const text of ["one", "two", "three"]) {
      writeFileSync(join(directory, "journal.json"), text);
      Journal.open(directory);
    }
    const kept = readdirSync(directory).map((name) => readFileSync(join(directory, name), "utf8"));
    assert.deepEqual(kept.sort(), ["one", "three", "two"]);
  });

  it("changes nothing, in memory or on the disk, when it can't be written", () => {
    const journal = Journal.open(directory);
    journal.slot("a").update({ epoch: 7 });
    const path = join(directory, "journal.json");
    const before = readFileSync(path, "utf8");
    const aside = `${directory}.gone`;
    rmSync(directory, { recursive: true });
    writeFileSync(directory, "no directory");
    try {
      assert.throws(() => journal.slot("a").update({ epoch: 8 }), JournalUnwritableError);
      assert.equal(journal.slot("a").current.epoch, 7);
      let told: unknown;
      journal.slot("a").note({ epoch: 9 }, (error) => {
        told = error;
      });
      assert(told instanceof JournalUnwritableError);
      assert.equal(journal.slot("a").current.epoch, 7);
    } finally {
      rmSync(directory);
      mkdirSync(directory);
      rmSync(aside, { recursive: true, force: true });
    }
    journal.slot("b").update({ epoch: 1 });
    assert.deepEqual(JSON.parse(readFileSync(path, "utf8")).slots.a, JSON.parse(before).slots.a);
  });

  it("names the versions that a slot holds or is about to hold", () => {
    fc.assert(
      fc.property(
        releases,
        orders,
        fc.constantFrom("pending" as const, "failed" as const),
        (release, order, outcome) => {
          const journal = Journal.open(directory);
          journal.slot("a").update({ resident: { release, epoch: 1, proven: true } });
          journal.slot("b").update({ order: { order, outcome } });
          assert(journal.names(release.version));
          assert(!journal.names("never"));
          if (order.action === "install" && order.release.version !== release.version)
            assert.equal(journal.names(order.release.version), outcome === "pending");
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("the token of an agent's workers", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-token-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("is made once, and for nobody else to read", () => {
    const token = instanceToken(directory);
    assert.match(token, /^[0-9a-f]{32}$/);
    assert.equal(instanceToken(directory), token);
  });

  it("is made anew where the file was spoiled", () => {
    writeFileSync(join(directory, "token"), "");
    assert.match(instanceToken(directory), /^[0-9a-f]{32}$/);
  });
});
