import assert from "node:assert/strict";
import { appendFileSync, truncateSync, writeFileSync } from "node:fs";
import { type ClientRequest, request } from "node:http";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import type { Event } from "../../protocol/event.ts";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { appReleases } from "../support/agent/orders.ts";
import { until } from "../support/until.ts";

interface Line {
  slot: string;
  worker: number;
  line: string;
}

describe("what the control socket streams", () => {
  const hosts = useHosts();
  const following: ClientRequest[] = [];
  afterEach(() => {
    for (const each of following.splice(0)) each.destroy();
  });

  /** The values of a stream as they come; resolves when its head is there. */
  function follow<T>(host: Host, path: string): Promise<T[]> {
    const values: T[] = [];
    return new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: host.socket, path, agent: false }, (response) => {
        let rest = "";
        response.setEncoding("utf8").on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop() as string;
          values.push(...lines.map((line) => JSON.parse(line) as T));
        });
        response.on("error", () => {});
        resolve(values);
      });
      following.push(outgoing);
      outgoing.on("error", reject);
      outgoing.end();
    });
  }

  const texts = (lines: Line[]) => lines.map(({ line }) => line);

  it("are events, the last ones and then those that come", async () => {
    const host = await hosts.start();
    const events = await follow<Event>(host, "/v1/events?last=1&follow");
    await until("the last one is there", () => events.length === 1);
    const [one] = await appReleases(host, "1");
    assert(one);
    await host.installed("a", one);
    await until("what happened was told", () => events.some(({ message }) => message.endsWith("→ serving")));
    const all = await host.events();
    await until("all of it was told", () => events.at(-1)?.message === all.at(-1)?.message);
    assert.deepEqual(events, all.slice(-events.length));
  });

  it("are workers' lines, also those written after the file was cut, and of workers that come later", async () => {
    const host = await hosts.start();
    const directory = join(host.state, "logs");
    const file = join(directory, "a-0.log");
    writeFileSync(file, "one\ntwo\nthree\n");
    writeFileSync(join(directory, "b-0.log"), "of b\n");

    const lines = await follow<Line>(host, "/v1/logs?slot=a&lines=2&follow");
    await until("the last lines are there", () => lines.length === 2);
    assert.deepEqual(texts(lines), ["two", "three"]);

    appendFileSync(file, "four\nfi");
    await until("the next line is there", () => lines.length === 3);
    appendFileSync(file, "ve\n");
    await until("the line in two pieces is there", () => lines.length === 4);
    truncateSync(file);
    appendFileSync(file, "six\n");
    await until("the line after the cut is there", () => lines.length === 5);
    writeFileSync(join(directory, "a-1.log"), "of another worker\n");
    await until("the other worker's line is there", () => lines.length === 6);

    assert.deepEqual(texts(lines), ["two", "three", "four", "five", "six", "of another worker"]);
    assert.deepEqual(lines.at(-1), { slot: "a", worker: 1, line: "of another worker" });
  });

  it("are the last lines alone where nobody follows, of all workers or of one", async () => {
    const host = await hosts.start();
    const directory = join(host.state, "logs");
    for (const worker of [0, 1, 2])
      writeFileSync(join(directory, `a-${worker}.log`), `${"é\n".repeat(50_000)}end of ${worker}\n`);
    const all = await follow<Line>(host, "/v1/logs?lines=1");
    await until("all are there", () => all.length === 3);
    assert.deepEqual(texts(all), ["end of 0", "end of 1", "end of 2"]);
    const one = await follow<Line>(host, "/v1/logs?slot=a&worker=2&lines=10000");
    await until("all are there", () => one.length === 10_000);
    assert(one.slice(0, -1).every(({ line }) => line === "é"));
  });
});
