import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../support/ports.ts";
import { PATIENCE_MS } from "../support/until.ts";
import { useEdgeFleet } from "./fleet.ts";

const EDGE = fileURLToPath(new URL("../../edge/main.js", import.meta.url));

function slotdEdge(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [EDGE, ...args],
      { timeout: PATIENCE_MS, killSignal: "SIGKILL" },
      (error, stdout, stderr) => resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

describe("the command slotd-edge", () => {
  const fleet = useEdgeFleet();
  let directory = "";
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "slotd-edge-command-"));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  function configured(text: string): string {
    const file = join(directory, "edge.toml");
    writeFileSync(file, text);
    return file;
  }
  const config = (port: number) =>
    `service = "web"\nedge = "e1"\nstate_directory = "${join(directory, "state")}"\nproxy = { kind = "builtin", port = ${port} }\n`;

  it("checks a configuration, and exits with 0 or 2", async () => {
    const good = await slotdEdge("--config", configured(config(8080)), "--check-config");
    assert.deepEqual([good.code, good.stdout.includes("good (service web, edge e1, proxy builtin)")], [0, true]);
    const bad = await slotdEdge("--config", configured(`${config(8080)}x = 1`), "--check-config");
    assert.deepEqual([bad.code, /CONFIG_INVALID: configuration: x /.test(bad.stderr)], [2, true]);
    const json = await slotdEdge("--config", configured(config(8080)), "--check-config", "--json");
    assert.deepEqual(JSON.parse(json.stdout), { good: true, service: "web", edge: "e1", proxy: "builtin" });
    const broken = await slotdEdge("--config", configured(`${config(8080)}x = 1`), "--check-config", "--json");
    const { good: isGood, error } = JSON.parse(broken.stdout);
    assert.deepEqual([broken.code, isGood, error.code], [2, false, "CONFIG_INVALID"]);
    for (const missing of [`edge = "e1"\n`, 'service = "web"\n']) {
      const { code, stderr } = await slotdEdge("--config", configured(missing), "--check-config");
      assert.equal(code, 2);
      assert.doesNotMatch(stderr, /Invalid input|received/, "no words of a library");
    }
    const help = await slotdEdge("--help");
    assert.deepEqual([help.code, /SIGUSR1/.test(help.stdout)], [0, true]);
  });

  it("says what is wrong with a command line, with a code, and where the help is", async () => {
    for (const [args, what] of [
      [[], /^error USAGE: --config <file> is missing; see slotd-edge --help\n$/],
      [["--confg", "f"], /^error USAGE: unknown option '--confg'.*--config.*; see slotd-edge --help\n$/],
      [["--config"], /^error USAGE: .*argument missing; see slotd-edge --help\n$/],
      [["--config", "f", "more"], /^error USAGE: too many arguments.*; see slotd-edge --help\n$/],
      [["--config", "f", "--json"], /^error USAGE: --json goes with --check-config/],
    ] as const) {
      const { code, stdout, stderr } = await slotdEdge(...args);
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
      assert.match(stderr, what);
    }
    const version = await slotdEdge("--version");
    assert.deepEqual([version.code, /^\d/.test(version.stdout)], [0, true]);
  });

  it("exits with 3 if another process uses its port", async () => {
    const [port] = (await freePorts(1)) as [number];
    const other = createServer().listen(port, "127.0.0.1");
    fleet.onEnd(() => other.close());
    const ended = await slotdEdge("--config", configured(config(port)));
    assert.deepEqual(
      [ended.code, /PORT_TAKEN: .*; end it or set another proxy\.port/.test(ended.stderr)],
      [3, true],
      ended.stderr,
    );
  });

  it("exits with 3 if another edge uses its state directory, and takes over from a killed one", async () => {
    const edge = await fleet.edge({ nats: "nats://127.0.0.1:1" });
    const second = await slotdEdge("--config", edge.configFile);
    assert.deepEqual([second.code, /EDGE_RUNNING/.test(second.stderr)], [3, true]);
    await edge.kill();
    await edge.begin();
    assert.equal(await edge.stop(), 0);
  });
});
