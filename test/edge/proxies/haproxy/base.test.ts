import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ProxyRejectedError } from "../../../../edge/proxies/contract.ts";
import { haproxyConfigSchema, prepareHaproxy, renderBase } from "../../../../edge/proxies/haproxy/index.ts";
import { PATIENCE_MS } from "../../../support/until.ts";

const config = (directory: string, more: object = {}) =>
  haproxyConfigSchema.parse({ kind: "haproxy", socket: join(directory, "socket"), directory, ...more });

describe("the base configuration", () => {
  it("is valid for HAProxy, with and without a cookie and a query parameter", () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-base-"));
    try {
      for (const [query, cookie] of [
        [null, null],
        ["v", null],
        ["v", "app_version"],
      ] as [string | null, string | null][]) {
        const file = join(directory, "haproxy.cfg");
        writeFileSync(file, prepareHaproxy(config(directory), { header: "X-App-Version", query, cookie }));
        const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
        execFileSync("haproxy", ["-c", "-f", file], { env, stdio: "pipe", timeout: PATIENCE_MS });
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("refuses names that could end a line or a word", () => {
    for (const text of ["", "a b", "a\nb", "a,b", "a)", "a#", 'a"', "a'", "a%", "a\0", "a".repeat(65)])
      for (const name of ["header", "query", "cookie"]) {
        const naming = { header: "X-App-Version", query: "v", cookie: "c", [name]: text };
        assert.throws(() => renderBase(config("/x"), naming), ProxyRejectedError, JSON.stringify([name, text]));
      }
    for (const bad of [
      { socket: "/x y" },
      { directory: "/x\ny" },
      { directory: "x" },
      { bind: [":80\n"] },
      { socket_group: "a b" },
    ])
      assert.throws(() => config("/x", bad), { name: "ZodError" }, JSON.stringify(bad));
  });

  it("has as many places and servers per place as configured", () => {
    const text = renderBase(config("/x", { places: 3, servers_per_place: 5 }), {
      header: "X-V",
      query: null,
      cookie: null,
    });
    assert.equal(text.match(/^backend v\d$/gm)?.length, 3);
    assert.equal(text.match(/server-template s 1-5 /g)?.length, 3);
  });
});
