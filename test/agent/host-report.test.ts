import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pino } from "pino";
import { agentTraits } from "../../agent/bus/traits.ts";
import { parseConfig } from "../../agent/config/load.ts";
import { HostReport } from "../../agent/host-report.ts";
import { BusConnection } from "../../bus/connection.ts";

describe("the report of a host", () => {
  it("says nothing before its first publishing, however often something changes while workers are taken over", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const config = parseConfig('service = "web"\nhost = "h1"\n[app]\ncommand = ["x"]\n');
    const log = pino({ enabled: false });
    const told: string[] = [];
    const bus = new BusConnection(config.nats, "test", agentTraits, log);
    const report = new HostReport(
      config,
      bus,
      () => ({}),
      () => [],
      (summary) => told.push(summary),
      () => {},
      log,
    );
    report.addWarning("the configuration does not fit");
    report.publishSoon();
    t.mock.timers.tick(60_000);
    assert.deepEqual(told, []);
    report.publish();
    assert.deepEqual(told, ["bus away"]);
    assert.deepEqual(report.status().warnings, ["the configuration does not fit"]);
    report.publishSoon();
    report.publishSoon();
    t.mock.timers.tick(60_000);
    assert.equal(told.length, 2);
  });
});
