import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../agent/config/load.ts";
import { unitName } from "../../agent/os/unit.ts";
import { longestStopMs, timeSpanMs } from "../../agent/stop-time.ts";

describe("the time that a stop may take", () => {
  it("is the sum of what is waited for, and fits into what the unit gives by default", () => {
    const config = parseConfig('service = "web"\n[app]\ncommand = ["x"]\n');
    assert.equal(longestStopMs(config), 10_000 + 60_000 + 10_000 + 6_000);
    assert(longestStopMs(config) <= 120_000, "TimeoutStopSec of systemd/slotd@.service");
  });

  it("has either the edges' time or the pause in it, whichever is longer", () => {
    const config = (drain: string) => parseConfig(`service = "web"\n[app]\ncommand = ["x"]\n[drain]\n${drain}\n`);
    const sum = 60_000 + 10_000 + 6_000;
    assert.equal(longestStopMs(config("edges_timeout_ms = 500\npause_ms = 3_000")), 3_000 + sum);
    assert.equal(longestStopMs(config("edges_timeout_ms = 30_000")), 30_000 + sum);
  });

  it("is read as systemd writes it", () => {
    const spans = {
      "2min": 120_000,
      "1min 30s": 90_000,
      "500ms": 500,
      "1h 2min 3s": 3_723_000,
      "1.5s": 1_500,
      "1w": 604_800_000,
    };
    for (const [text, ms] of Object.entries(spans)) assert.equal(timeSpanMs(text), ms, text);
    for (const text of ["infinity", "", "[not set]", "1y 2month"]) assert.equal(timeSpanMs(text), null, text);
  });
});

describe("the unit that a process runs in", () => {
  it("is told by systemd's hierarchies of cgroups alone", () => {
    assert.equal(unitName("0::/slotd.slice/slotd@web.service/agent\n"), "slotd@web.service");
    assert.equal(
      unitName("12:memory:/x.service\n1:name=systemd:/system.slice/slotd@a.service\n0::/\n"),
      "slotd@a.service",
    );
    assert.equal(unitName("12:memory:/docker/x.service\n0::/user.slice/session-3.scope\n"), null);
    assert.equal(unitName(""), null);
  });
});
