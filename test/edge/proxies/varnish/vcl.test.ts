import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ProxyRejectedError } from "../../../../edge/proxies/contract.ts";
import { quoteWord } from "../../../../edge/proxies/varnish/cli.ts";
import {
  compiledFlag,
  defaultFlag,
  fallbackFlag,
  offeredFlag,
  renderVcl,
  servedVersions,
} from "../../../../edge/proxies/varnish/vcl.ts";
import type { Table, VersionNaming } from "../../../../edge/table/table.ts";
import { allTo } from "../../../../edge/table/unnamed.ts";
import { versionSchema } from "../../../../protocol/names.ts";
import { randomTable } from "../../real-proxy/random-table.ts";

const settings = {
  cache: true,
  shared: false,
  connect_timeout_ms: 1_000,
  first_byte_timeout_ms: 60_000,
  between_bytes_timeout_ms: 60_000,
};
const naming: VersionNaming = { header: "X-App-Version", query: "v", cookie: "app_version" };

const table = (
  change: { version?: string; address?: string; id?: string; port?: number; weight?: number } = {},
): Table => {
  const { version = "A", address = "127.0.3.1", id = "prod.h1.a", port = 8000, weight = 1 } = change;
  return {
    service: "web",
    epoch: 1,
    routesRevision: 1,
    serversetsRevision: 1,
    unnamed: allTo(version),
    fallback: null,
    versions: [{ version, endpoints: [{ id, stage: "prod", address, port, weight }] }],
  };
};
const render = (change: Parameters<typeof table>[0], names: Partial<VersionNaming> = {}) =>
  renderVcl(table(change), { ...naming, ...names }, settings);

const hostile = [
  "",
  '"',
  'A"; } sub vcl_recv { return (synth(200)); } #',
  '"}',
  'A"}',
  "A\nB",
  "A\r\nX-Injected: yes",
  "A\0",
  "C{ system(); }C",
  "A;B",
  "A B",
  "..",
  "A..B",
  "/etc/passwd",
  "-A",
  "ä",
  "\u2028",
  "A".repeat(129),
  "A".repeat(1_000_000),
  ":default",
  "v0/A",
];

describe("the VCL of a table", () => {
  it("refuses hostile versions, ids and addresses, and names the field", () => {
    for (const text of hostile) {
      for (const [field, change] of [
        ["versions[0].version", { version: text }],
        ["versions[0].endpoints[0].id", { id: text }],
        ["versions[0].endpoints[0].address", { address: text }],
      ] as const)
        if (field !== "versions[0].endpoints[0].id" || text !== "v0")
          assert.throws(
            () => render(change),
            (error) =>
              error instanceof ProxyRejectedError && error.message.startsWith(field) && error.message.length < 200,
            `${field} ${text.slice(0, 20)}`,
          );
      for (const name of ["header", "query", "cookie"])
        if (text !== "..")
          assert.throws(() => render({}, { [name]: text }), ProxyRejectedError, `${name} ${text.slice(0, 20)}`);
    }
    for (const change of [{ port: 0 }, { port: 65_536 }, { port: 1.5 }, { weight: 0 }, { weight: Number.NaN }])
      assert.throws(() => render(change), ProxyRejectedError);
    assert.throws(() => renderVcl({ ...table(), unnamed: allTo('A"') }, naming, settings), ProxyRejectedError);
    assert.throws(() => renderVcl({ ...table(), fallback: "A\n" }, naming, settings), ProxyRejectedError);
  });

  it("contains a version only between two quotes, whatever it is, or refuses it", () => {
    const plain = render({ version: "PLAIN" });
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary" }), fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/)),
        (version) => {
          if (versionSchema.safeParse(version).success)
            assert.equal(render({ version }), plain.replaceAll('"PLAIN"', `"${version}"`));
          else assert.throws(() => render({ version }), ProxyRejectedError);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("contains an address only if it is an IP address", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.ipV4(), fc.ipV6()), (address) => {
        if (isIP(address) !== 0) assert.ok(render({ address }).includes(`.host = "${address}"`));
        else assert.throws(() => render({ address }), ProxyRejectedError);
      }),
      { numRuns: 500 },
    );
  });

  it("is the same text for the same table, with every endpoint", () => {
    assert.equal(render({}), render({}));
    assert.ok(render({}).includes('backend b0_0 { .host = "127.0.3.1"; .port = "8000";'));
  });

  it("never uses a flag as a backend: it only declares flags and asks for their health", () => {
    fc.assert(
      fc.property(randomTable, fc.boolean(), (any, cache) => {
        const text = renderVcl(any, naming, { ...settings, cache });
        const flags = [
          compiledFlag,
          ...servedVersions(any).flatMap((_, v) => [defaultFlag(v), fallbackFlag(v), offeredFlag(v)]),
        ];
        for (const flag of flags) {
          assert.ok(text.includes(`backend ${flag} { .host = "0.0.0.1"; .port = "1"; }`), flag);
          const uses = text.replaceAll(`std.healthy(${flag})`, "").replace(`backend ${flag} {`, "");
          assert.doesNotMatch(uses, new RegExp(`\\b${flag}\\b`));
        }
      }),
    );
  });

  it("quotes any word of a command as one word on one line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (word) => {
        const text = quoteWord(word);
        assert.match(text, /^(?:[\w./:*-]+|"(?:[ !#-[\]-~]|\\x[0-9a-f]{2})*")$/);
        const read = text.startsWith('"')
          ? Buffer.from(
              text.slice(1, -1).replaceAll(/\\x(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
              "latin1",
            )
          : Buffer.from(text);
        assert.deepEqual(read, Buffer.from(word));
      }),
    );
  });
});
