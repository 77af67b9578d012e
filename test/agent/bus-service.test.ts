import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { ServiceInfo } from "@nats-io/services";
import type { HostStatus, WorkerStatus } from "../../protocol/host-status.ts";
import { memberLeaseMs } from "../../protocol/member.ts";
import { buckets, keys, subjects } from "../../protocol/subjects.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { logKey } from "../support/nats/key-log.ts";
import { PATIENCE_MS, until } from "../support/until.ts";

describe("an agent on the bus", () => {
  const hosts = useHosts();

  async function serving(settings = {}): Promise<Host> {
    const host = await hosts.start(settings);
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    return host;
  }

  /** What a verb of the micro service answers; an error has the code that its header says as well. */
  async function ask<T>(host: Host, verb: string, request?: unknown): Promise<T> {
    const nc = await host.bus();
    const body = typeof request === "string" ? request : request === undefined ? "" : JSON.stringify(request);
    const answer = await nc.request(subjects.request("web", host.name, verb), body, { timeout: PATIENCE_MS });
    const value = answer.json<T & { error?: { code: string } }>();
    const code = answer.headers?.get("Nats-Service-Error");
    assert.equal(value.error?.code ?? "", code ?? "");
    return value;
  }

  const fails = async (host: Host, verb: string, request: unknown) =>
    (await ask<{ error: { code: string; field?: string } }>(host, verb, request)).error;

  it("is found as a micro service, with its service, stage and host", async () => {
    const host = await serving();
    const nc = await host.bus();
    const answer = await nc.request(`$SRV.INFO.slotd`, "", { timeout: PATIENCE_MS });
    const info = answer.json<ServiceInfo>();
    assert.equal((await nc.request("$SRV.PING.slotd", "", { timeout: PATIENCE_MS })).json<ServiceInfo>().name, "slotd");
    assert.deepEqual(info.metadata, { service: "web", host: host.name, stage: "prod" });
    assert.deepEqual(info.endpoints.map(({ name }) => name).sort(), [
      "drain",
      "logs",
      "restart",
      "status",
      "undrain",
      "workers",
    ]);
  });

  it("answers as on its socket", async () => {
    const host = await serving();
    const timeless = (status: HostStatus) => ({ ...status, observedAt: null, load: null });
    assert.deepEqual(timeless(await ask<HostStatus>(host, "status")), timeless(await host.status()));
    const who = (workers: WorkerStatus[]) =>
      workers.map(({ slot, worker, pid, version, state }) => ({ slot, worker, pid, version, state }));
    assert.deepEqual(who(await ask<WorkerStatus[]>(host, "workers")), who(await host.workers()));
    const lines = await until("all workers have written", async () => {
      const found = await ask<{ line: string; slot: string }[]>(host, "logs", { slot: "a", lines: 1 });
      return found.length === 2 ? found : null;
    });
    assert.match(lines[0]?.line ?? "", /worker 0 of 1 is up/);
  });

  it("drains, takes back and restarts a slot on request", async () => {
    const host = await serving();
    const pids = await host.pids("a");
    await ask(host, "drain", { slot: "a", by: "anna", reason: "to look at it" });
    const held = await host.untilSlot("a", "is held drained", (slot) => slot.held && slot.lastDrain !== null);
    assert.equal(held.state, "draining");
    assert.equal((await host.member("a"))?.status, "STOPPING");
    await ask(host, "undrain", { slot: "a", by: "anna" });
    await host.untilState("a", "serving");
    assert.deepEqual(await host.pids("a"), pids);
    await ask(host, "restart", { slot: "a", by: "anna" });
    await host.untilSlot("a", "was restarted", ({ workers }) => workers.restarts === 2 && workers.ready === 2);
    const told = (await host.events()).map(({ message }) => message).join("\n");
    assert.match(told, /drain was asked for by anna \(over the bus\)/);
  });

  it("refuses what it can't do, with a code and a field", async () => {
    const host = await serving();
    const cases: [verb: string, request: unknown, code: string, field?: string][] = [
      ["drain", "{", "ORDER_MALFORMED", "(the request)"],
      ["drain", "null", "ORDER_MALFORMED", "(the request)"],
      ["drain", "[]", "ORDER_MALFORMED", "(the request)"],
      ["drain", {}, "ORDER_MALFORMED", "slot"],
      ["drain", { slot: 7 }, "ORDER_MALFORMED", "slot"],
      ["drain", { slot: "a", by: "" }, "ORDER_MALFORMED", "by"],
      ["drain", { slot: "a", reason: "x".repeat(2_000) }, "ORDER_MALFORMED", "reason"],
      ["drain", { slot: "c" }, "SLOT_UNKNOWN", "slot"],
      ["drain", { slot: "b" }, "SLOT_STATE"],
      ["undrain", { slot: "a" }, "SLOT_STATE"],
      ["restart", { slot: "b" }, "SLOT_STATE"],
      ["logs", { slot: "c" }, "SLOT_UNKNOWN", "slot"],
      ["logs", { lines: "many" }, "ORDER_MALFORMED", "lines"],
      ["logs", { lines: -1 }, "ORDER_MALFORMED", "lines"],
      ["logs", { worker: 1.5 }, "ORDER_MALFORMED", "worker"],
    ];
    for (const [verb, request, code, field] of cases) {
      const error = await fails(host, verb, request);
      assert.equal(error.code, code, `${verb} ${JSON.stringify(request)}`);
      assert.equal(error.field, field);
    }
    assert.equal((await host.slot("a")).state, "serving");
  });

  it("answers with as many lines as fit into a message", async () => {
    const host = await serving({ app: { workers: 2 } });
    const file = (await host.workers("a"))[0]?.output as string;
    appendFileSync(file, `${"x".repeat(2_000)}\n`.repeat(2_000));
    const lines = await ask<unknown[]>(host, "logs", { slot: "a", lines: 2_000 });
    assert(lines.length >= 200 && lines.length < 2_000, `${lines.length} lines`);
  });

  it("writes its members and its status again before their leases end, and unchanged", async () => {
    const host = await serving();
    const nc = await host.bus();
    const member = await logKey(nc, buckets.serversets, keys.member("web", "prod", host.name, "a"));
    const status = await logKey(nc, buckets.hosts, keys.host("web", host.name));
    const began = performance.now();
    await until("both were written twice", () => member.length >= 2 && status.length >= 2);
    for (const writes of [member, status]) {
      const [first, second] = writes;
      assert(first && second);
      assert(first.at - began < memberLeaseMs && second.at - first.at < memberLeaseMs);
    }
    assert.equal(member[0]?.value, member[1]?.value);
    assert.equal(JSON.parse(status[1]?.value as string).slots.a.state, "serving");
  });

  it("withdraws a member in two steps, and says with which revision it did", async () => {
    const host = await serving();
    const writes = await logKey(await host.bus(), buckets.serversets, keys.member("web", "prod", host.name, "a"));
    const { lastDrain } = await host.untilOrder("a", await host.uninstall("a", "1"));
    await until("the member was deleted", () => writes.some(({ value }) => value === null));
    const seen = writes.map(({ value }) => (value === null ? null : JSON.parse(value).status));
    assert.deepEqual(
      seen.filter((status) => status !== "ALIVE"),
      ["STOPPING", null],
    );
    assert((lastDrain?.revision ?? 0) > 0);
  });
});
