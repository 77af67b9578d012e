import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { logDestination } from "../../daemon/log-destination.ts";

const ESC = "\u001b";
const HOSTILE = `x${ESC}]52;c;cm0gLXJm\u0007${ESC}[2J\u202ez\u009b2J`;
const STEERING = new RegExp(`${ESC}(?!\\[\\d*m)|[\\u0080-\\u009f\\u202e\\u0007]`, "u");

function sink() {
  return {
    text: "",
    write(text: string) {
      this.text += text;
    },
  };
}

describe("a daemon's log on a terminal", () => {
  for (const [form, isPretty] of [
    ["for people", true],
    ["as JSON", false],
  ] as const) {
    it(`${form} can't steer it`, async () => {
      const stdout = sink();
      const log = pino({}, await logDestination({ isPretty, isTerminal: true }, stdout));
      log.warn({ tail: HOSTILE, err: new Error(HOSTILE) }, `the last words: ${HOSTILE}`);
      assert.match(stdout.text, /the last words: x/);
      assert.doesNotMatch(stdout.text, STEERING);
    });
  }

  it("for people has colours on a terminal alone", async () => {
    for (const isTerminal of [true, false]) {
      const stdout = sink();
      pino({}, await logDestination({ isPretty: true, isTerminal }, stdout)).warn("it began");
      assert.equal(stdout.text.includes(`${ESC}[33m`), isTerminal, stdout.text);
    }
  });
});
