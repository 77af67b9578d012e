import assert from "node:assert/strict";
import { closeSync, existsSync, fstatSync, openSync } from "node:fs";
import { describe, it } from "node:test";
import { ownOutputGoesToJournald } from "../../../agent/output/journald.ts";
import { cursorOfNow, isAfter, isCursor, parseEntry } from "../../../agent/output/journald-entry.ts";

describe("entries of the journal", () => {
  const cursor = (fields: Record<string, string>) =>
    Object.entries({ s: "aa", i: "10", b: "bb", m: "20", t: "30", x: "40", ...fields })
      .map(([name, value]) => `${name}=${value}`)
      .join(";");

  it("are ordered by their numbers, as numbers", () => {
    assert.equal(isAfter(cursor({ i: "10" }), cursor({ i: "f" })), true);
    assert.equal(isAfter(cursor({ i: "f" }), cursor({ i: "10" })), false);
    assert.equal(isAfter(cursor({ i: "ffffffffffffffff" }), cursor({ i: "fffffffffffffffe" })), true);
    assert.equal(isAfter(cursor({}), cursor({})), false, "none is after itself");
    assert.equal(isAfter(cursor({ i: "11", t: "1" }), cursor({})), true, "also when the clock was put back");
  });

  it("of files with other numbers are ordered by the boot's clock, and of other boots by the time", () => {
    assert.equal(isAfter(cursor({ s: "cc", i: "1", m: "21", t: "1" }), cursor({})), true);
    assert.equal(isAfter(cursor({ s: "cc", i: "99", m: "1f" }), cursor({})), false);
    assert.equal(isAfter(cursor({ s: "cc", i: "1", b: "dd", m: "1", t: "31" }), cursor({})), true);
    assert.equal(isAfter(cursor({ s: "cc", i: "99", b: "dd", m: "99", t: "2f" }), cursor({})), false);
  });

  it("are after the place of now if they were written since, also by the clock of this boot alone", () => {
    const now = cursorOfNow();
    assert.equal(isCursor(now), true);
    const [boot, clock, time] = ["b", "m", "t"].map((name) => new RegExp(`(?:^|;)${name}=([0-9a-f]+)`).exec(now)?.[1]);
    const moved = (hex: string | undefined, by: bigint) => (BigInt(`0x${hex}`) + by).toString(16);
    const at = (by: bigint, b = boot) => cursor({ b: b as string, m: moved(clock, by), t: moved(time, by) });
    assert.equal(isAfter(at(1n), now), true);
    assert.equal(isAfter(at(-1n), now), false, "a process before it, of the same version");
    assert.equal(
      isAfter(cursor({ b: boot as string, m: moved(clock, 1n), t: "1" }), now),
      true,
      "the clock was put back",
    );
    assert.equal(isAfter(at(-1n, "0".repeat(32)), now), false);
    assert.equal(isCursor("12:0:00000000:0"), false, "a place in a file is none");
  });

  it("are read as text, or as bytes that are no text", () => {
    const entry = { __CURSOR: "c", SYSLOG_IDENTIFIER: "web/a/1/0" };
    const read = (message: unknown) => parseEntry(JSON.stringify({ ...entry, MESSAGE: message }));
    assert.deepEqual(read("text"), { identifier: "web/a/1/0", message: "text", cursor: "c" });
    assert.equal(read([0x63, 0xe9])?.message, "c\ufffd");
    assert.equal(read(null), null);
    assert.equal(read(undefined), null);
  });

  it("that are cut off, or have an identifier twice, are passed over", () => {
    assert.equal(parseEntry('{"__CURSOR":"c","SYSLOG_IDENTIFIER":"web/a/1/0","MESS'), null);
    const twice = { __CURSOR: "c", SYSLOG_IDENTIFIER: ["web/a/1/0", "x"], MESSAGE: "text" };
    assert.equal(parseEntry(JSON.stringify(twice)), null);
  });
});

describe("the journal", () => {
  it("is there only where one's own output goes to it, not where the variable is inherited", (t) => {
    const fd = openSync("/dev/null", "w");
    t.after(() => closeSync(fd));
    const { dev, ino } = fstatSync(fd);
    // A machine without systemd has none in any case.
    const socket = existsSync("/run/systemd/journal/stdout");
    assert.equal(ownOutputGoesToJournald({ JOURNAL_STREAM: `${dev}:${ino}` }, [fd]), socket);
    assert.equal(ownOutputGoesToJournald({ JOURNAL_STREAM: `${dev}:${ino}0` }, [fd]), false);
    assert.equal(ownOutputGoesToJournald({ JOURNAL_STREAM: "" }, [fd]), false);
    assert.equal(ownOutputGoesToJournald({}, [fd]), false);
  });
});
