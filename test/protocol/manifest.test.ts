import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { deltaOf, type ManifestEntry, manifestEntrySchema, sortEntries, treeDigest } from "../../protocol/manifest.ts";

const name = fc.oneof(
  fc.constantFrom("a", "b", "ä", "z", "𝒳", "\ufb01", '"', "a b"),
  fc.string({ minLength: 1, maxLength: 3 }),
);
const path = fc
  .array(name, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join("/"))
  .filter((text) => !/\p{Surrogate}/u.test(text));
const mode = fc.constantFrom(0o644, 0o755, 0o600);
const sha256 = fc.constantFrom("0".repeat(64), "1".repeat(64), "f".repeat(64));
const entry: fc.Arbitrary<ManifestEntry> = fc.oneof(
  fc.record({ type: fc.constant("file" as const), path, mode, sizeBytes: fc.nat(3), sha256 }),
  fc.record({ type: fc.constant("directory" as const), path, mode }),
  fc.record({ type: fc.constant("symlink" as const), path, target: path }),
);
/** A tree's entries: any, but no path twice. */
const entries = fc.uniqueArray(entry, { selector: ({ path }) => path, maxLength: 12 });
const shuffled = (from: ManifestEntry[]) => fc.shuffledSubarray(from, { minLength: from.length });

/** What an agent makes of a base and a delta. */
function applied(base: ManifestEntry[], delta: ReturnType<typeof deltaOf>): ManifestEntry[] {
  return [...base.filter(({ path }) => !delta.without.includes(path)), ...delta.entries];
}

/** Every way to change one field of an entry, to another type too. */
function changed(entry: ManifestEntry): ManifestEntry[] {
  const { path } = entry;
  const moved = { ...entry, path: `${path}x` };
  switch (entry.type) {
    case "file":
      return [
        moved,
        { ...entry, mode: entry.mode ^ 0o100 },
        { ...entry, sizeBytes: entry.sizeBytes + 1 },
        { ...entry, sha256: entry.sha256.replace(/.$/, "7") },
        { type: "directory", path, mode: entry.mode },
      ];
    case "directory":
      return [moved, { ...entry, mode: entry.mode ^ 0o100 }, { type: "symlink", path, target: "." }];
    case "symlink":
      return [moved, { ...entry, target: `${entry.target}x` }, { type: "directory", path, mode: 0o755 }];
  }
}

describe("a tree's digest", () => {
  it("does not depend on the order of its entries", () => {
    const ordered = entries.chain((list) => fc.tuple(fc.constant(list), shuffled(list)));
    fc.assert(fc.property(ordered, ([one, other]) => assert.equal(treeDigest(one), treeDigest(other))));
  });

  it("is another one when any field of any entry is", () => {
    fc.assert(
      fc.property(entries, fc.nat(), (list, at) => {
        fc.pre(list.length > 0);
        const index = at % list.length;
        const before = treeDigest(list);
        for (const other of changed(list[index] as ManifestEntry))
          assert.notEqual(treeDigest(list.with(index, other)), before, JSON.stringify(other));
        assert.notEqual(treeDigest(list.toSpliced(index, 1)), before);
      }),
    );
  });

  it("is the same however often an entry travels as JSON", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const read = list.map((one) => manifestEntrySchema.parse(JSON.parse(JSON.stringify(one))));
        assert.equal(treeDigest(read), treeDigest(list));
      }),
    );
  });

  it("stays what it is, from version to version of slotd", () => {
    const list: ManifestEntry[] = [
      { type: "file", path: "b", mode: 0o644, sizeBytes: 1, sha256: "2".repeat(64) },
      { type: "symlink", path: "a", target: "b" },
      { type: "directory", path: "ä", mode: 0o755 },
    ];
    assert.equal(treeDigest(list), "d9c3651bfc426e2db7f7a9987da11de58b110cc60e6d398fb85b33b7adea3526");
  });
});

describe("entries", () => {
  it("are sorted by the bytes of their paths, so that a directory comes before what is in it", () => {
    fc.assert(
      fc.property(entries, (list) => {
        const sorted = sortEntries(list).map(({ path }) => Buffer.from(path));
        for (const [i, next] of sorted.slice(1).entries()) assert.ok(Buffer.compare(sorted[i] as Buffer, next) < 0);
        assert.equal(sorted.length, list.length);
      }),
    );
    // UTF-16, as JavaScript compares, has these the other way around.
    const file = (path: string): ManifestEntry => ({ type: "symlink", path, target: "t" });
    assert.deepEqual(
      sortEntries([file("𝒳"), file("\ufb01")]).map(({ path }) => path),
      ["\ufb01", "𝒳"],
    );
  });
});

describe("a delta", () => {
  it("applied to its base gives its target", () => {
    fc.assert(
      fc.property(entries, entries, (base, target) => {
        assert.equal(treeDigest(applied(base, deltaOf(base, target))), treeDigest(target));
      }),
    );
  });

  it("holds nothing that its base has already, and leaves out nothing that it could take over", () => {
    // Two trees that share some entries.
    const pair = fc.tuple(entries, entries).map(([base, more]) => {
      const known = new Set(base.map(({ path }) => path));
      return [base, [...base.filter((_, i) => i % 2), ...more.filter(({ path }) => !known.has(path))]] as const;
    });
    fc.assert(
      fc.property(pair, ([base, target]) => {
        const { entries: brought, without } = deltaOf(base, target);
        const kept = base.filter((_, i) => i % 2);
        for (const { path } of kept) assert.ok(!without.includes(path) && !brought.some((one) => one.path === path));
        assert.equal(brought.length + kept.length, target.length);
      }),
    );
  });

  it("between equal trees is empty", () => {
    fc.assert(fc.property(entries, (list) => assert.deepEqual(deltaOf(list, list), { entries: [], without: [] })));
  });
});
