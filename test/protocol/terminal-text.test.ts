import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { terminalJson, terminalLine, terminalText } from "../../protocol/terminal-text.ts";

const ESC = "\u001b";

describe("text for a terminal", () => {
  const steering: [what: string, text: string][] = [
    ["an OSC 52, which writes the clipboard", `${ESC}]52;c;cm0gLXJmIC8=\u0007`],
    ["an OSC that ends with ST", `${ESC}]0;title${ESC}\\`],
    ["an OSC without an end", `${ESC}]8;;http://x`],
    ["the 8-bit form of OSC", "\u009d52;c;aGk=\u009c"],
    ["a DCS", `${ESC}P+q544e${ESC}\\`],
    ["cursor movements", `${ESC}[2J${ESC}[1;1H${ESC}[?1049h`],
    ["the 8-bit form of CSI", "\u009b2J"],
    ["a style that hides text", `${ESC}[8m`],
    ["a reset of the terminal", `${ESC}c`],
    ["character sets", `${ESC}(0`],
    ["an escape at the end", ESC],
    ["backspace, return, bell, delete, NUL", "\b\r\u0007\u007f\u0000"],
    ["overrides of the direction", "\u202e\u2066\u2069\u200f\u061c"],
  ];
  for (const [what, text] of steering) {
    it(`${what}: nothing of it is left`, () => {
      const left = terminalText(`a${text}`, { keepStyles: true });
      assert.equal(left, "a");
    });
  }

  it("own colours stay where they are wanted, tabs and lines stay", () => {
    const text = `${ESC}[31mred${ESC}[39m\tgrün 日本\n`;
    assert.equal(terminalText(text, { keepStyles: true }), text);
    assert.equal(terminalText(text), "red\tgrün 日本\n");
  });

  it("a line stays one line", () => {
    assert.equal(terminalLine("one\r\nerror X: two\n"), "one error X: two ");
  });

  it("JSON keeps what it says, and holds nothing that steers", () => {
    const value = { text: steering.map(([, text]) => text).join("x") };
    const json = terminalJson(value);
    assert.deepEqual(JSON.parse(json), value);
    assert.doesNotMatch(json, /[\p{Cc}\u202e\u2066\u2069\u200f\u061c]/u);
  });
});
