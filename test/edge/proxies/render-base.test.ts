import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { stringify } from "smol-toml";
import { PATIENCE_MS } from "../../support/until.ts";

const EDGE = fileURLToPath(new URL("../../../edge/main.js", import.meta.url));
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
/** A user other than root. */
const SOMEBODY = 65534;

describe("slotd-edge --render-base", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-edge-render-"));
    // varnishd's compiler runs as a user of its own, and has to read the VCL.
    chmodSync(directory, 0o755);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function render(proxy: Record<string, unknown>, more: Record<string, unknown> = {}) {
    const file = join(directory, "edge.toml");
    writeFileSync(file, stringify({ service: "web", proxy, ...more }));
    return new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      const args = [EDGE, "--config", file, "--render-base"];
      execFile(process.execPath, args, { timeout: PATIENCE_MS, killSignal: "SIGKILL" }, (error, stdout, stderr) =>
        resolve({ code: error ? error.code : 0, stdout, stderr }),
      );
    });
  }
  const haproxy = () => ({ kind: "haproxy", socket: join(directory, "socket"), directory: join(directory, "table") });
  const varnish = () => ({ kind: "varnish", directory: join(directory, "vcl") });

  it("prints a configuration that is valid for HAProxy, and creates the files that it names", async () => {
    const naming = { header: "X-V", query: "v", cookie: "version" };
    const { code, stdout, stderr } = await render({ ...haproxy(), places: 64 }, { naming });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /http-response set-header X-V /);
    const file = join(directory, "haproxy.cfg");
    writeFileSync(file, stdout);
    execFileSync("haproxy", ["-c", "-f", file], { env, stdio: "pipe", timeout: PATIENCE_MS });
    assert.equal(readFileSync(join(directory, "table/current/routes.map"), "utf8"), "");
    assert.equal(existsSync(join(directory, "state")), false);
  });

  it("prints a VCL that is valid for varnishd, and creates the file that varnishd starts with", async () => {
    const { code, stdout, stderr } = await render(varnish());
    assert.deepEqual([code, stderr], [0, ""]);
    const file = join(directory, "vcl/current.vcl");
    assert.equal(readFileSync(file, "utf8"), stdout);
    execFileSync("varnishd", ["-C", "-f", file, "-n", join(directory, "work")], {
      env,
      stdio: "pipe",
      timeout: PATIENCE_MS,
    });
  });

  it("leaves existing files as they are", async () => {
    await render(varnish());
    await render(haproxy());
    const vcl = join(directory, "vcl/current.vcl");
    const map = join(directory, "table/current/routes.map");
    for (const file of [vcl, map]) writeFileSync(file, "# of a table\n");
    for (const proxy of [varnish(), haproxy()]) assert.equal((await render(proxy)).code, 0);
    for (const file of [vcl, map]) assert.equal(readFileSync(file, "utf8"), "# of a table\n");
  });

  it("as root, gives what it creates, and nothing else, to the owner of the directory around it", async (t) => {
    if (process.getuid?.() !== 0) return t.diagnostic("needs root");
    mkdirSync(join(directory, "edge"));
    writeFileSync(join(directory, "edge/roots"), "");
    chownSync(join(directory, "edge"), SOMEBODY, SOMEBODY);
    const uid = (path: string) => statSync(join(directory, path)).uid;
    await render({ ...varnish(), directory: join(directory, "edge/web/vcl") });
    await render({ ...haproxy(), directory: join(directory, "edge") });
    const made = readdirSync(join(directory, "edge"), { recursive: true, encoding: "utf8" });
    for (const path of ["web/vcl/current.vcl", "current/routes.map"])
      assert.ok(existsSync(join(directory, "edge", path)));
    for (const path of made) assert.equal(uid(join("edge", path)), path === "roots" ? 0 : SOMEBODY, path);
    assert.equal(uid("edge.toml"), 0);
  });

  it("names the key that is wrong, and exits with 2", async () => {
    const builtin = await render({ kind: "builtin", port: 8080 });
    assert.deepEqual([builtin.code, builtin.stdout], [2, ""]);
    assert.match(builtin.stderr, /CONFIG_INVALID: configuration: proxy\.kind is "builtin".*nothing to render/);
    const taken = await render({ ...haproxy(), directory: join(directory, "edge.toml/table") });
    assert.deepEqual([taken.code, taken.stdout], [2, ""]);
    assert.match(taken.stderr, /CONFIG_INVALID: configuration: proxy\.directory can't be written \(ENOTDIR/);
    const wrong = await render({ kind: "nginx" });
    assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
  });
});
