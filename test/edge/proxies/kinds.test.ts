import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kindOf, type ProxySettings, proxyKinds } from "../../../edge/proxies/kinds.ts";

const least: Record<keyof typeof proxyKinds, Record<string, unknown>> = {
  builtin: { port: 9_100 },
  varnish: { directory: "/x" },
  haproxy: { socket: "/x/socket", directory: "/x" },
};

describe("the table of proxies", () => {
  for (const [name, row] of Object.entries(proxyKinds)) {
    it(`has a row for ${name} that its settings lead to`, () => {
      const settings = row.schema.parse({ kind: name, ...least[name as keyof typeof least] }) as ProxySettings;
      assert.equal(kindOf(settings), row);
      assert.equal(row.schema.safeParse({ ...settings, kind: "other" }).success, false);
    });

    it(`declares for ${name} only routes that all its tests cover: atomic mode without stages`, () => {
      assert.deepEqual(row.routes, { modes: ["atomic"], stages: false });
    });
  }
});
