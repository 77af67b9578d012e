import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hostSchema, hostToken, nameSchema, versionSchema } from "../../protocol/names.ts";
import { buckets, keys, subjects } from "../../protocol/subjects.ts";

const accepts = (schema: typeof nameSchema, text: string) => schema.safeParse(text).success;

describe("names and versions", () => {
  it("takes the names that the design gives, and no others", () => {
    for (const good of ["a", "web", "web-api", "web_2", "0", "x".repeat(63)]) assert(accepts(nameSchema, good), good);
    for (const bad of ["", "-a", "_a", "Web", "a.b", "a b", "a*", ">", "ä", "a\n", "x".repeat(64)])
      assert(!accepts(nameSchema, bad), JSON.stringify(bad));
  });

  it("takes host names as DNS writes them", () => {
    for (const good of ["h1", "web-1.rack2.example.com", "127"]) assert(accepts(hostSchema, good), good);
    for (const bad of ["", ".", "a.", ".a", "a..b", "A", "a b", "x".repeat(254)])
      assert(!accepts(hostSchema, bad), bad);
  });

  it("takes versions byte for byte, and never one that is a way out of a directory", () => {
    for (const good of ["1", "1.2.3", "v1.0.0-rc.1+sha.5114f85", "A_b", "x".repeat(128)])
      assert(accepts(versionSchema, good), good);
    for (const bad of ["", ".", "..", "1..2", "-1", "+1", "a/b", "a\\b", "a b", "1\n", "é", "x".repeat(129)])
      assert(!accepts(versionSchema, bad), JSON.stringify(bad));
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (accepts(versionSchema, text)) assert(!/\.\.|[/\\\s]|^\./.test(text));
      }),
    );
  });

  it("makes each name one token of a key or subject, whatever the host's name", () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,9}$/);
    const host = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join("."));
    fc.assert(
      fc.property(name, host, name, (service, h, slot) => {
        assert(!hostToken(h).includes("."));
        assert.equal(keys.order(service, h, slot).split(".").length, 3);
        assert.equal(keys.member(service, "prod", h, slot).split(".").length, 4);
        assert.equal(subjects.event(service, h, slot).split(".").length, 5);
      }),
    );
  });

  it("keeps web and web-api apart in every key and subject", () => {
    assert.equal(subjects.puts(buckets.orders, keys.order("web", "h1", "*")), "$KV.slotd-orders.web.h1.*");
    assert.notEqual(keys.order("web", "h1", "a"), keys.order("web-api", "h1", "a"));
    assert(!keys.order("web-api", "h1", "a").startsWith(`${keys.host("web", "h1")}.`));
  });
});
