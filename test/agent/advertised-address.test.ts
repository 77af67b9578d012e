import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { advertisedAddress } from "../../agent/config/advertised-address.ts";
import { parseConfig } from "../../agent/config/load.ts";

const info = (address: string, internal = false) => ({
  ...{ address, internal, netmask: "", mac: "", cidr: null },
  ...(address.includes(":") ? { family: "IPv6" as const, scopeid: 0 } : { family: "IPv4" as const }),
});
const lo = [info("127.0.0.1", true), info("::1", true)];
const HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
const route = (name: string, metric: number, destination = "00000000", mask = "00000000") =>
  `${name}\t${destination}\t010200C0\t0003\t0\t0\t${metric}\t${mask}\t0\t0\t0`;

describe("the address that a host publishes", () => {
  const eth = { lo, docker0: [info("172.17.0.1")], eth0: [info("10.0.0.11"), info("fe80::2"), info("2001:db8::11")] };

  it("is that of the interface with the default route, the lowest metric first", () => {
    const inner = route("docker0", 0, "000011AC", "0000FFFF");
    const routes = [HEAD, inner, route("wlan0", 600), route("eth0", 100)].join("\n");
    assert.equal(advertisedAddress("IPv4", { ...eth, wlan0: [info("192.0.2.5")] }, routes), "10.0.0.11");
    assert.equal(advertisedAddress("IPv6", eth, routes), "10.0.0.11", "a slot at :: takes IPv4, too");
  });

  it("is the only one without a default route, and loopback without any", () => {
    assert.equal(advertisedAddress("IPv4", { lo, eth0: [info("169.254.3.4"), info("10.0.0.11")] }, HEAD), "10.0.0.11");
    assert.equal(advertisedAddress("IPv6", { lo, eth0: [info("2001:db8::11")] }, ""), "2001:db8::11");
    assert.equal(advertisedAddress("IPv4", { lo }, HEAD), "127.0.0.1");
  });

  it("has to be configured if there are several, and none is better", () => {
    assert.deepEqual(advertisedAddress("IPv4", eth, HEAD), { candidates: ["172.17.0.1", "10.0.0.11"] });
  });

  it("is an address, never a name, and never a wildcard", () => {
    const config = (advertise: string) => `service = "web"\nadvertise = "${advertise}"\n[app]\ncommand = ["x"]\n`;
    for (const name of ["web-1", "web-1.internal", "10.0.0.1:80", "::", "0.0.0.0"])
      assert.throws(() => parseConfig(config(name)), /advertise must be (an IP address|the address of one host)/, name);
    assert.equal(parseConfig(config("10.0.0.11")).advertise, "10.0.0.11");
    assert.match(parseConfig('service = "web"\n[app]\ncommand = ["x"]\n').advertise, /^[0-9.]+$/);
  });
});
