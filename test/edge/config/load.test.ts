import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEdgeConfig } from "../../../edge/config/load.ts";

const good = `service = "web"\nedge = "e1"\nproxy = { kind = "builtin", port = 8080 }\n`;

describe("an edge's configuration", () => {
  it("has a default for everything but the service and the proxy", () => {
    const config = parseEdgeConfig(good);
    assert.deepEqual(
      [config.naming, config.fallback, config.max_loss, config.coalesce_ms, config.state_directory],
      [{ header: "X-App-Version", query: null, cookie: null }, "none", 0.5, 20, "/var/lib/slotd-edge/web"],
    );
    assert(Object.isFrozen(config) && Object.isFrozen(config.proxy));
  });

  const bad: [string, string, RegExp][] = [
    ["an unknown key", `${good}speed = 3`, /speed is not a known key/],
    ["an unknown key of the proxy", good.replace("port", "color = 1, port"), /proxy\.color is not a known key/],
    [
      "an unknown proxy",
      good.replace("builtin", "squid"),
      /proxy\.kind must be one of "builtin", "varnish", "haproxy"/,
    ],
    ["no proxy", `service = "web"`, /proxy is required/],
    ["a share above 1", `${good}max_loss = 1.5`, /max_loss .*1.*but is 1.5/],
    ["a header that ends a line", `${good}naming = { header = "X\\r\\nY" }`, /naming\.header must match/],
    ["a service that is no name", good.replace('"web"', '"Web!"'), /service must match .* but is "Web!"/],
    ["text that is not TOML", "service = ", /:1:\d+ is not TOML/],
    ["a user without a password", `${good}nats = { user = "u" }`, /nats\.password_file is required/],
  ];
  for (const [what, text, message] of bad) {
    it(`with ${what} is refused, and the message names key, rule and value`, () => {
      assert.throws(() => parseEdgeConfig(text), message);
    });
  }

  it("never repeats a password", () => {
    const text = `${good}nats = { servers = ["nats://u:secret@h:1", 5] }`;
    assert.throws(
      () => parseEdgeConfig(text),
      (error: Error) => !error.message.includes("secret"),
    );
  });
});
