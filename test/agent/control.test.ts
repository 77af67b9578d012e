import assert from "node:assert/strict";
import { existsSync, lstatSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { slotd } from "../support/slotd.ts";
import { until } from "../support/until.ts";

interface Answer {
  status: number;
  error?: { code: string; message: string; field?: string };
}

function call(host: Host, method: string, path: string, body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: host.socket, method, path, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      resolve({ status: response.statusCode ?? 0, ...JSON.parse(text) });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

describe("the control socket", () => {
  const hosts = useHosts();

  it("is there for its owner and its group, and for nobody else", async () => {
    const host = await hosts.start({ control: { group: "daemon" } });
    const { mode, gid } = statSync(host.socket);
    assert.equal(mode & 0o777, 0o660);
    const line = readFileSync("/etc/group", "utf8")
      .split("\n")
      .find((entry) => entry.startsWith("daemon:"));
    assert.equal(gid, Number(line?.split(":")[2]));
  });

  it("answers what it does not know with a code and the field at fault", async () => {
    const host = await hosts.start();
    const cases: [method: string, path: string, status: number, code: string, field?: string, body?: string][] = [
      ["GET", "/", 400, "ORDER_MALFORMED", "path"],
      ["GET", "//", 400, "ORDER_MALFORMED", "path"],
      ["GET", "/v2/status", 400, "ORDER_MALFORMED", "path"],
      ["GET", "/v1/nothing", 400, "ORDER_MALFORMED", "path"],
      ["DELETE", "/v1/status", 400, "ORDER_MALFORMED", "path"],
      ["POST", "/v1/slots/a/fly", 400, "ORDER_MALFORMED", "path"],
      ["POST", "/v1/slots/c/drain", 404, "SLOT_UNKNOWN", "slot"],
      ["POST", "/v1/slots/a/drain", 409, "SLOT_STATE"],
      ["POST", "/v1/slots/a/drain", 400, "ORDER_MALFORMED", "(the request)", "{"],
      ["POST", "/v1/slots/a/drain", 400, "ORDER_MALFORMED", "(the request)", "[]"],
      ["POST", "/v1/slots/a/drain", 400, "ORDER_MALFORMED", "by", '{"by": 7}'],
      ["POST", "/v1/slots/a/drain", 400, "ORDER_MALFORMED", "(the request)", " ".repeat(100_000)],
      ["POST", "/v1/slots/a/drain", 400, "ORDER_MALFORMED", "(the request)", " ".repeat(3_000_000)],
      ["GET", "/v1/events?last=many", 400, "ORDER_MALFORMED", "last"],
      ["GET", "/v1/events?last=-1", 400, "ORDER_MALFORMED", "last"],
      ["GET", "/v1/logs?lines=", 400, "ORDER_MALFORMED", "lines"],
      ["GET", "/v1/logs?worker=one", 400, "ORDER_MALFORMED", "worker"],
      ["GET", "/v1/logs?slot=c", 404, "SLOT_UNKNOWN", "slot"],
    ];
    for (const [method, path, status, code, field, body] of cases) {
      const answer = await call(host, method, path, body);
      const what = `${method} ${path} ${(body ?? "").slice(0, 20)}`;
      assert.equal(answer.status, status, what);
      assert.equal(answer.error?.code, code, what);
      assert.equal(answer.error?.field, field, what);
    }
    assert.equal((await host.status()).pid, host.agentPid, "the agent is still the same");
  });

  it("survives what is no HTTP, and clients that go away in the middle", async () => {
    const host = await hosts.start();
    for (const bytes of [
      "\u0000\u0001\u0002",
      "GET",
      "POST /v1/slots/a/drain HTTP/1.1\r\ncontent-length: 100\r\n\r\n{",
    ]) {
      const socket = connect(host.socket);
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(bytes);
      socket.destroy();
    }
    assert.equal((await host.status()).pid, host.agentPid);
  });

  it("left behind by a kill -9 is replaced", async () => {
    const host = await hosts.start();
    await host.killAgent();
    assert(lstatSync(host.socket).isSocket());
    await host.startAgent();
    assert.equal((await host.status()).pid, host.agentPid);
    await host.endAgent();
    assert(!existsSync(host.socket));
  });

  it("is not taken from another agent, and neither is its state directory", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    const pids = await host.pids("a");
    const files: Record<string, object> = {
      "same-state.toml": { control: { socket: join(host.directory, "other.sock") } },
      "same-socket.toml": { state_directory: join(host.directory, "other-state") },
    };
    const config = readFileSync(host.configFile, "utf8");
    for (const [name, settings] of Object.entries(files)) {
      host.configure(settings as never);
      const path = join(host.directory, name);
      writeFileSync(path, readFileSync(host.configFile));
      const { code, stderr } = await slotd("--config", path);
      assert.equal(code, 1, name);
      assert.match(stderr, /^error AGENT_RUNNING: /);
    }
    writeFileSync(host.configFile, config);
    assert.equal((await host.status()).pid, host.agentPid);
    assert.deepEqual(await host.pids("a"), pids);
  });

  it("never takes the place of a file that is none", async () => {
    const host = await hosts.create();
    writeFileSync(host.socket, "somebody's");
    const { code, stderr } = await slotd("--config", host.configFile);
    assert.equal(code, 2);
    assert.match(stderr, /^error CONFIG_INVALID: configuration: control\.socket /);
    assert.equal(readFileSync(host.socket, "utf8"), "somebody's");
  });

  it("closes with the agent, also where somebody follows, and two signals are no more than one", async () => {
    const host = await hosts.start();
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    const follower = request({ socketPath: host.socket, path: "/v1/events?follow&last=0", agent: false });
    follower.on("error", () => {});
    follower.on("response", (response) => response.resume().on("error", () => {}));
    follower.end();
    await until("it follows", () => follower.reusedSocket !== undefined);
    const ended = host.endAgent("SIGTERM");
    process.kill(host.agentPid, "SIGTERM");
    process.kill(host.agentPid, "SIGINT");
    assert.equal(await ended, 0, host.log().split("\n").slice(-5).join("\n"));
    assert(!existsSync(host.socket));
  });
});
