import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { HeldProbe, type ProbeAnswer } from "../../../edge/members/held-probe.ts";
import { KnownMembers } from "../../../edge/members/members.ts";
import { memberLeaseMs, toMember } from "../../../protocol/member.ts";
import { freePorts } from "../../support/ports.ts";

const key = (host: string) => `web.prod.${host}.a`;
const address = "127.0.3.7";

/** Hosts that vanished together long ago, by their ports, so that all of them are held back. */
function held(ports: Record<string, number>): KnownMembers {
  const members = new KnownMembers("web");
  members.beginListing(false);
  for (const [i, [host, port]] of Object.entries(ports).entries()) {
    const who = { service: "web", stage: "prod", host, slot: "a", version: "A", sha256: "a".repeat(64), epoch: 1 };
    const member = toMember({ ...who, address: { host: address, port }, capacity: 2, workers: 3, status: "ALIVE" });
    members.recordWrite(key(host), i + 1, JSON.stringify(member), 0);
  }
  members.endListing(0);
  members.lapse(memberLeaseMs + 1);
  assert.equal(judged(members).heldBack.length, Object.keys(ports).length);
  return members;
}

const judged = (members: KnownMembers) => members.judgeLosses(() => true, 0.5);
const routed = (members: KnownMembers) => judged(members).members.map(({ id }) => id.split(".")[1]);

/** A probe whose endpoints answer as `answers` says, and which writes down what it reports. */
function probing(members: KnownMembers, answers: Record<string, ProbeAnswer>) {
  const reported: string[] = [];
  const probe = new HeldProbe(
    members,
    (of, answer) => reported.push(`${of} ${answer}`),
    async ({ id }) => answers[id.split(".")[1] as string] ?? "silent",
  );
  const times = async (count: number) => {
    for (let i = 0; i < count; i++) await probe.probe();
  };
  return { reported, times };
}

describe("endpoints that are held back", () => {
  it("leave when they refuse connections again and again, the last ones too, and come back when they accept one", async () => {
    const members = held({ h1: 8001, h2: 8002 });
    const answers: Record<string, ProbeAnswer> = { h1: "refuses", h2: "accepts" };
    const { reported, times } = probing(members, answers);
    await times(4);
    assert.deepEqual(routed(members), ["h1", "h2"], "a worker may just be starting again");
    await times(1);
    assert.deepEqual([routed(members), judged(members).heldBack.length], [["h2"], 1]);
    answers.h2 = "refuses";
    await times(5);
    assert.deepEqual(routed(members), []);
    answers.h1 = "accepts";
    await times(1);
    assert.deepEqual(routed(members), ["h1"]);
    assert.deepEqual(reported, [`${key("h1")} refuses`, `${key("h2")} refuses`, `${key("h1")} accepts`]);
  });

  it("stay however long they are silent, and silence between refusals starts the count again", async () => {
    const members = held({ h1: 8001, h2: 8002 });
    const answers: Record<string, ProbeAnswer> = { h1: "silent", h2: "refuses" };
    const { times } = probing(members, answers);
    await times(4);
    answers.h2 = "silent";
    await times(1);
    answers.h2 = "refuses";
    await times(4);
    members.lapse(10 * memberLeaseMs);
    assert.deepEqual(routed(members), ["h1", "h2"]);
  });

  it("are forgotten if they go on refusing for the window, and serve again when their member is written again", async () => {
    const members = held({ h1: 8001, h2: 8002 });
    const answers: Record<string, ProbeAnswer> = { h1: "refuses", h2: "accepts" };
    const { times } = probing(members, answers);
    await times(5);
    members.lapse(performance.now() + 20_000);
    answers.h1 = "accepts";
    await times(5);
    assert.deepEqual([routed(members), members.doubtful().size], [["h2"], 1]);
  });

  it("are asked by a connection: only a port where nobody listens refuses", async () => {
    const [open, shut] = (await freePorts(2, address)) as [number, number];
    const server = createServer((socket) => socket.destroy()).listen(open, address);
    await once(server, "listening");
    const members = held({ h1: open, h2: shut });
    const probe = new HeldProbe(members, () => {});
    for (let i = 0; i < 5; i++) await probe.probe();
    assert.deepEqual(routed(members), ["h1"]);
    server.close();
    await once(server, "close");
    for (let i = 0; i < 5; i++) await probe.probe();
    assert.deepEqual(routed(members), []);
  });
});
