import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { oneOf, readCommandLine, wholeNumber } from "../../../scripts/benchmarks/support/options.ts";

describe("the command line of a benchmark", () => {
  const own = { seed: wholeNumber(0, 9), proxy: oneOf("haproxy", "varnish") };

  it("has what every benchmark takes, and what this one does", () => {
    assert.deepEqual(readCommandLine([], own), { json: false, quick: false, options: {} });
    assert.deepEqual(readCommandLine(["--seed", "7", "--json", "--quick", "--proxy=varnish"], own), {
      ...{ json: true, quick: true },
      options: { seed: 7, proxy: "varnish" },
    });
  });

  it("is refused with the rule that it breaks", () => {
    assert.throws(() => readCommandLine(["--seed", "x"], own), /--seed must be a whole number from 0 to 9, but is x/);
    assert.throws(() => readCommandLine(["--seed", "10"], own), /but is 10/);
    assert.throws(() => readCommandLine(["--proxy", "nginx"], own), /--proxy must be one of haproxy, varnish/);
    assert.throws(() => readCommandLine(["--seed", "7"], {}), /Unknown option '--seed'/);
    assert.throws(() => readCommandLine(["extra"], own), /extra/);
  });
});
