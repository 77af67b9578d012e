import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { eventSchema } from "../../../protocol/event.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { startFakeAgent } from "./support/fake-agent.ts";
import { onTerminal, slotctl, slotctlPath, startSlotctl } from "./support/slotctl.ts";
import { event } from "./support/values.ts";

const ESC = "\u001b";
const timeout = 3 * PATIENCE_MS;

describe("slotctl logs and events", () => {
  it("logs shows each line with the worker that wrote it", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.logs = [
      { slot: "a", worker: 0, line: "listening" },
      { slot: "b", worker: 12, line: "größer | than" },
    ];
    const { exitCode, stdout } = await slotctl(t, ["logs", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.equal(stdout, "a/0 | listening\nb/12 | größer | than\n");
    assert.deepEqual(agent.asked[0]?.query, { lines: "50" });
  });

  it("logs requests only one worker's lines", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    await slotctl(t, ["logs", "a", "--worker", "0", "-n", "7", "--socket", agent.socketPath]);
    assert.deepEqual(agent.asked[0]?.query, { slot: "a", worker: "0", lines: "7" });
  });

  it("logs -f streams new lines, and exits with 0 on SIGINT", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.logs = [{ slot: "a", worker: 0, line: "first" }];
    const following = startSlotctl(t, ["logs", "a", "-f", "--socket", agent.socketPath]);
    await following.until(/first/);
    // A line that arrives in two chunks, split inside a character, is one line.
    const bytes = Buffer.from('{"slot":"a","worker":1,"line":"später"}\n');
    const cut = bytes.indexOf(0xc3) + 1;
    agent.following[0]?.write(bytes.subarray(0, cut));
    agent.following[0]?.write(bytes.subarray(cut));
    await following.until(/^a\/1 \| später$/m);
    const left = once(agent, "left");
    following.child.kill("SIGINT");
    const { exitCode, stderr } = await following.ended;
    assert.equal(exitCode, 0);
    assert.equal(stderr, "");
    await left;
  });

  it("logs -f exits with 3 when the agent ends", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    for (const end of [() => agent.following[0]?.end(), () => agent.following[1]?.destroy()]) {
      const following = startSlotctl(t, ["logs", "-f", "--json", "--socket", agent.socketPath]);
      const asked = agent.following.length;
      while (agent.following.length === asked) await once(agent, "asked");
      end();
      const { exitCode, stdout } = await following.ended;
      assert.equal(exitCode, 3);
      assert.equal(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "").error.code, "AGENT_UNREACHABLE");
    }
  });

  it("logs on a terminal has coloured prefixes, keeps an app's colours, and removes other control sequences", {
    timeout,
  }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.logs = [{ slot: "a", worker: 0, line: `${ESC}[2J${ESC}[31mred${ESC}[1A` }];
    const args = ["logs", "--socket", agent.socketPath];
    const coloured = await onTerminal(t, args).ended;
    assert.match(coloured.stdout, new RegExp(`^${ESC}\\[3\\dma/0 \\|${ESC}\\[39m ${ESC}\\[31mred${ESC}\\[0m\r\n$`));
    const plain = await onTerminal(t, args, { env: { NO_COLOR: "1" } }).ended;
    assert.equal(plain.stdout, "a/0 | red\r\n");
  });

  it("events shows what happened, oldest first", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.events = [
      event("starting → serving", { at: "2026-01-02T03:04:05.678Z" }),
      event("it went wrong", {
        at: "2026-01-02T03:04:06.000Z",
        slot: "-",
        kind: "error",
        code: "DISK_FULL",
        orderId: "o1",
      }),
    ];
    const { exitCode, stdout } = await slotctl(t, ["events", "-n", "5", "--socket", agent.socketPath]);
    assert.equal(exitCode, 0);
    assert.deepEqual(agent.asked[0]?.query, { last: "5" });
    assert.equal(
      stdout,
      "2026-01-02T03:04:05Z  a  state    starting → serving\n2026-01-02T03:04:06Z  -  error    DISK_FULL: it went wrong  order o1\n",
    );
  });

  it("events -f --json prints one JSON document per line", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.events = [event("one")];
    const following = startSlotctl(t, ["events", "-f", "--json", "--socket", agent.socketPath]);
    await following.until(/one/);
    agent.following[0]?.write(`${JSON.stringify(event("two"))}\n`);
    await following.until(/two/);
    following.child.kill("SIGINT");
    const { exitCode, stdout } = await following.ended;
    assert.equal(exitCode, 0);
    const messages = stdout
      .trimEnd()
      .split("\n")
      .map((line) => eventSchema.parse(JSON.parse(line)).message);
    assert.deepEqual(messages, ["one", "two"]);
  });

  it("events | head ends without an error", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.events = Array.from({ length: 20_000 }, (_, i) => event(`event ${i}`));
    const command = 'set -o pipefail; "$0" "$1" events -n 20000 --socket "$2" | head -n 1; echo "code $?"';
    const shell = spawn("bash", ["-c", command, process.execPath, slotctlPath, agent.socketPath]);
    t.after(() => shell.kill("SIGKILL"));
    let stdout = "";
    let stderr = "";
    shell.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    shell.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    await once(shell, "close");
    assert.match(stdout, /event 0\ncode 0\n$/);
    assert.equal(stderr, "");
  });
});
