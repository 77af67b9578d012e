import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { Varnish } from "../support/proxies/varnish.ts";
import { edgeRules } from "./real-proxy/with-edge.ts";

const directory = mkdtempSync(join(tmpdir(), "slotd-own-vcl-"));
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true }));

/** The operator's own VCL, which is read at each load. */
const include = join(directory, "own.vcl");
const fix = () => writeFileSync(include, "");
fix();

edgeRules("Varnish", () => Varnish.start({ config: { include, min_load_interval_ms: 100 } }), {
  spoil: () => writeFileSync(include, "sub vcl_deliver { this is not VCL }\n"),
  fix,
});
