import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostStatusSchema } from "../../../protocol/host-status.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { FakeAgent, startFakeAgent } from "./support/fake-agent.ts";
import { onTerminal, slotctl, startSlotctl } from "./support/slotctl.ts";
import { host, slot } from "./support/values.ts";

const ESC = "\u001b";
const timeout = 3 * PATIENCE_MS;

describe("slotctl status --watch", () => {
  it("prints block after block without a terminal, and exits with 0 on SIGINT", {
    timeout,
  }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.beforeStatus = (asked) => {
      agent.status = host([slot({ state: asked === 1 ? "starting" : "serving" })]);
    };
    const watching = startSlotctl(t, ["status", "--watch", "0.1", "--socket", agent.socketPath]);
    await watching.until(/a +starting.*web prod.*a +serving.*\n\nweb prod/s);
    watching.child.kill("SIGINT");
    const { exitCode, stdout, stderr } = await watching.ended;
    assert.equal(exitCode, 0);
    assert.equal(stderr, "");
    assert.ok(!stdout.includes(ESC));
  });

  it("redraws in place on a terminal, and restores the cursor on Ctrl-C", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.beforeStatus = (asked) => {
      agent.status = host([slot({ version: `1.0.${asked}` })]);
    };
    const watching = onTerminal(t, ["status", "--watch", "0.1", "--socket", agent.socketPath], {
      env: { NO_COLOR: "1" },
    });
    await watching.until(/1\.0\.3/);
    watching.child.stdin?.write("\u0003");
    const { exitCode, stdout } = await watching.ended;
    assert.equal(exitCode, 0);
    assert.equal(stdout.split(`${ESC}[2J`).length, 2, "cleared once");
    assert.ok(stdout.split(`${ESC}[H`).length >= 4, "drawn from the top each time");
    assert.ok(stdout.trimEnd().endsWith(`${ESC}[?25h`), JSON.stringify(stdout.slice(-40)));
  });

  it("prints one JSON document per line with --json", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const watching = startSlotctl(t, ["status", "--watch", "0.1", "--json", "--socket", agent.socketPath]);
    await watching.until(/\n.*\n/);
    watching.child.kill("SIGINT");
    const { exitCode, stdout } = await watching.ended;
    assert.equal(exitCode, 0);
    for (const line of stdout.trimEnd().split("\n")) hostStatusSchema.parse(JSON.parse(line));
  });

  it("continues when the agent is down for a while", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const watching = startSlotctl(t, ["slots", "--watch", "0.1", "--socket", agent.socketPath]);
    await watching.until(/serving/);
    await agent.close();
    await watching.until(/error AGENT_UNREACHABLE/, "stderr");
    const next = new FakeAgent(agent.socketPath);
    next.status = host([slot({ version: "2.0.0" })]);
    await next.listen();
    t.after(() => next.close());
    await watching.until(/2\.0\.0/);
    watching.child.kill("SIGINT");
    assert.equal((await watching.ended).exitCode, 0);
  });

  it("exits with 3 if there is no agent at the start", { timeout }, async (t) => {
    const { exitCode } = await slotctl(t, ["workers", "--watch", "--socket", "/nonexistent/web.sock"]);
    assert.equal(exitCode, 3);
  });

  it("rejects a value that is not a number of seconds as wrong usage", { timeout }, async (t) => {
    const { exitCode, stderr } = await slotctl(t, ["workers", "--watch", "a"]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /^error USAGE: option '--watch .*seconds/);
  });
});
