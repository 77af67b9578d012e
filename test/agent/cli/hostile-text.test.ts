import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PATIENCE_MS } from "../../support/until.ts";
import { startFakeAgent } from "./support/fake-agent.ts";
import { onTerminal, slotctl } from "./support/slotctl.ts";
import { event, host, slot, worker } from "./support/values.ts";

const ESC = "\u001b";
const timeout = 3 * PATIENCE_MS;
/** Writes the clipboard, clears the screen, forges a line, turns text round, and has 8-bit forms of it. */
const HOSTILE = `x${ESC}]52;c;cm0gLXJm\u0007${ESC}[2J\r\nerror FORGED: y\u202ez\u009b2J\u009d0;t\u009c${ESC}[8m`;
/** Anything but this program's own colours that a terminal would act on, and the same in UTF-8's way of bytes. */
const STEERING = new RegExp(
  `${ESC}(?!\\[(?:0|1|2|22|3[1-69]|39)m)|[\\u0080-\\u009f\\u202a-\\u202e\\u0007\\u0008]`,
  "u",
);

describe("text from elsewhere that would steer a terminal", () => {
  const verbs: [verb: string[], shows: RegExp][] = [
    [["status"], /error FORGED: yz/],
    [["slots"], /serving/],
    [["workers"], /error FORGED: yz/],
    [["events"], /error FORGED: yz/],
    [["logs"], /error FORGED: yz/],
    [["drain", "a"], /error FORGED: yz/],
    [["workers", HOSTILE], /there is no slot/],
    [["pack", HOSTILE, "--version", "1", "--name", "web"], /does not exist: pack takes/],
  ];

  for (const [verb, shows] of verbs) {
    it(`is harmless in slotctl ${JSON.stringify(verb.join(" ")).slice(1, 30)}`, { timeout }, async (t) => {
      const agent = await startFakeAgent(t);
      const wire = { code: "NOT_READY", message: HOSTILE, orderId: "o1" };
      const bus = { connected: false, server: HOSTILE, since: new Date().toISOString(), error: HOSTILE };
      agent.status = host([slot({ lastError: wire, refused: wire, routedBy: HOSTILE })], {
        warnings: [HOSTILE],
        lastError: wire,
        agentVersion: HOSTILE,
        bus,
      });
      agent.workers = [worker({ says: HOSTILE })];
      agent.events = [event(HOSTILE, { slot: HOSTILE, code: HOSTILE, orderId: HOSTILE })];
      agent.logs = [{ slot: "a", worker: 0, line: HOSTILE.replace("\r\n", " ") }];
      agent.steer = () => {
        agent.refusal = { httpStatus: 409, error: wire };
        return agent.status.slots.a as never;
      };
      const { stdout } = await onTerminal(t, [...verb, "--socket", agent.socketPath]).ended;
      assert.match(stdout, shows);
      const found = STEERING.exec(stdout);
      assert.equal(
        found,
        null,
        JSON.stringify(stdout.slice(Math.max(0, (found?.index ?? 0) - 30), (found?.index ?? 0) + 30)),
      );
      assert.doesNotMatch(stdout, /^error FORGED/m, "nothing makes a line of its own");
      assert.doesNotMatch(stdout, /cm0gLXJm/);
    });
  }

  it("says the same in JSON, harmlessly", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.events = [event(HOSTILE)];
    const { stdout } = await slotctl(t, ["events", "--json", "--socket", agent.socketPath]);
    assert.equal(JSON.parse(stdout).message, HOSTILE);
    assert.doesNotMatch(stdout, STEERING);
  });

  it("is left in the output of an app that goes to a file or a pipe, and with --raw", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const line = HOSTILE.replace("\r\n", " ");
    agent.logs = [{ slot: "a", worker: 0, line }];
    const args = ["logs", "--socket", agent.socketPath];
    assert.equal((await slotctl(t, args)).stdout, `a/0 | ${line}\n`);
    assert((await onTerminal(t, [...args, "--raw"]).ended).stdout.includes(line));
  });

  it("keeps the colours of an app's output on a terminal, except those that hide text", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.logs = [
      { slot: "a", worker: 0, line: `${ESC}[38;5;208morange${ESC}[0m ${ESC}[1;8mhidden${ESC}[48:2::1:2:3mon` },
    ];
    const { stdout } = await onTerminal(t, ["logs", "--socket", agent.socketPath]).ended;
    assert(
      stdout.endsWith(` ${ESC}[38;5;208morange${ESC}[0m hidden${ESC}[48:2::1:2:3mon${ESC}[0m\r\n`),
      JSON.stringify(stdout),
    );
  });
});
