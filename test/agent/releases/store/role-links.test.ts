import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { rolesOf, setRoleLinks } from "../../../../agent/releases/store/role-links.ts";
import { useScratch } from "../support/scratch.ts";

describe("the roles of versions", () => {
  it("are as ordered, else the higher epoch is current", () => {
    assert.deepEqual(rolesOf([]), { current: null, previous: null });
    assert.deepEqual(rolesOf([{ version: "1", epoch: 1 }]), { current: "1", previous: null });
    const two = [
      { version: "1", epoch: 1 },
      { version: "2", epoch: 2 },
    ];
    assert.deepEqual(rolesOf(two), { current: "2", previous: "1" });
    assert.deepEqual(
      rolesOf([
        { version: "1", epoch: 1, role: "current" },
        { version: "2", epoch: 2 },
      ]),
      {
        current: "1",
        previous: "2",
      },
    );
    assert.deepEqual(
      rolesOf([
        { version: "1", epoch: 1 },
        { version: "2", epoch: 2, role: "previous" },
      ]),
      {
        current: "1",
        previous: "2",
      },
    );
    assert.deepEqual(rolesOf([{ version: "1", epoch: 1, role: "previous" }]), { current: null, previous: "1" });
    const both = two.map((holder) => ({ ...holder, role: "current" as const }));
    assert.deepEqual(rolesOf(both), { current: "2", previous: "1" });
  });
});

describe("the links to trees of versions with a role", () => {
  const scratch = useScratch();
  const trees = (state: string, ...versions: string[]) => {
    for (const version of versions) {
      mkdirSync(join(state, "releases", version, "tree"), { recursive: true });
      writeFileSync(join(state, "releases", version, "tree/version.txt"), version);
    }
  };

  it("are set, swapped and taken away, and nothing else is left in the directory", async () => {
    const state = scratch.dir;
    trees(state, "1", "2");
    const read = (role: string) => readFileSync(join(state, role, "version.txt"), "utf8");
    await setRoleLinks(state, { current: "1", previous: null });
    assert.equal(read("current"), "1");
    await setRoleLinks(state, { current: "2", previous: "1" });
    assert.deepEqual([read("current"), read("previous")], ["2", "1"]);
    assert.equal(readlinkSync(join(state, "current")), "releases/2/tree");
    await setRoleLinks(state, { current: "2", previous: null });
    assert.deepEqual(readdirSync(state).sort(), ["current", "releases"]);
  });

  it("are never away while they are swapped", async () => {
    const state = scratch.dir;
    trees(state, "1", "2");
    await setRoleLinks(state, { current: "1", previous: "2" });
    let over = false;
    const swapping = (async () => {
      for (let i = 0; i < 200; i++) {
        const [current, previous] = i % 2 ? ["1", "2"] : ["2", "1"];
        await setRoleLinks(state, { current: current as string, previous: previous as string });
      }
      over = true;
    })();
    let seen = 0;
    while (!over) {
      assert.match(readFileSync(join(state, "current/version.txt"), "utf8"), /^[12]$/);
      seen++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await swapping;
    assert(seen > 10);
  });
});
