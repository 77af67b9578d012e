import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
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
        writeFileSync(file, prepareHaproxy("web", config(directory), { header: "X-App-Version", query, cookie }));
        const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
        execFileSync("haproxy", ["-c", "-f", file], { env, stdio: "pipe", timeout: PATIENCE_MS });
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("of several services is valid beside the operator's own configuration in one HAProxy, and is no default for it", () => {
    const directory = mkdtempSync(join(tmpdir(), "slotd-base-"));
    try {
      const naming = { header: "X-App-Version", query: "v", cookie: "c" };
      const write = (name: string, text: string) => {
        writeFileSync(join(directory, name), text);
        return ["-f", join(directory, name)];
      };
      const names = ["shop", "shop-v0", "blog_2"];
      const frontend = ["frontend www", "  bind 127.83.5.1:8080"].concat(
        names.map((name) => `  use_backend slotd.${name} if { req.hdr(host),host_only -i ${name}.example }`),
      );
      const own = [
        ...["global", "  log /dev/log local0", "defaults", "  mode http", "  log global", "  option httplog"],
        ...[
          "  timeout connect 5s",
          "  timeout client 50s",
          "  timeout server 50s",
          "  default-server check",
          ...frontend,
        ],
      ];
      const args = write("haproxy.cfg", `${own.join("\n")}\n`);
      for (const service of names) {
        const of = config(join(directory, service), { shared: true, socket: join(directory, `${service}.sock`) });
        args.push(...write(`slotd-${service}.cfg`, prepareHaproxy(service, of, naming)));
      }
      const web = config(join(directory, "web"), { socket: join(directory, "web.sock"), bind: ["127.83.5.1:8081"] });
      args.push(...write("slotd-web.cfg", prepareHaproxy("web", web, naming)));
      const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
      const checked = spawnSync("haproxy", ["-c", ...args], { env, encoding: "utf8", timeout: PATIENCE_MS });
      assert.equal(checked.status, 0, checked.stderr);
      assert.doesNotMatch(checked.stderr, /ALERT|WARNING/);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("refuses an address of its own for a service that shares the operator's frontend", () => {
    assert.throws(() => config("/x", { shared: true, bind: [":80"] }), /bind.*must be left out if shared is true/s);
    const naming = { header: "X-V", query: null, cookie: null };
    for (const service of ["", "a b", "a.v0", "a\n"])
      assert.throws(() => renderBase(service, config("/x"), naming), ProxyRejectedError, JSON.stringify(service));
  });

  it("refuses names that could end a line or a word", () => {
    for (const text of ["", "a b", "a\nb", "a,b", "a)", "a#", 'a"', "a'", "a%", "a\0", "a".repeat(65)])
      for (const name of ["header", "query", "cookie"]) {
        const naming = { header: "X-App-Version", query: "v", cookie: "c", [name]: text };
        assert.throws(() => renderBase("web", config("/x"), naming), ProxyRejectedError, JSON.stringify([name, text]));
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
    const text = renderBase("web", config("/x", { places: 3, servers_per_place: 5 }), {
      header: "X-V",
      query: null,
      cookie: null,
    });
    assert.equal(text.match(/^backend slotd\.web\.v\d from slotd\.web$/gm)?.length, 3);
    assert.equal(text.match(/server-template s 1-5 /g)?.length, 3);
  });
});
