import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Host } from "../support/agent/host.ts";
import { useHosts } from "../support/agent/hosts.ts";
import { makeRelease } from "../support/release.ts";
import { until } from "../support/until.ts";

const WORDS = "these are the words of version";

/** Says which version it is; serves, and ends without a word while the file `end` is in its directory. */
const talks = {
  "app.mjs": `
    import { existsSync, readFileSync } from "node:fs";
    import { createServer } from "node:http";
    console.log("${WORDS}", readFileSync("version.txt", "utf8"));
    createServer((_, response) => response.end("1")).listen({ fd: 3 });
    setInterval(() => existsSync(process.env.CONTROL + "/end") && process.exit(9), 20);
    process.on("SIGTERM", () => process.exit(0));`,
};
const MUTE = { "app.mjs": "process.exit(3);" };

describe("the last words in an error", () => {
  const hosts = useHosts();

  const create = async (): Promise<Host> => {
    const host = await hosts.create();
    const app = { workers: 2, restart_backoff_min_ms: 10, environment: { CONTROL: host.directory } };
    host.configure({ app, crash_loop: { ends: 3, within_ms: 60_000 } });
    await host.startAgent();
    await host.installed("a", await makeRelease(host.archives, "1", { files: talks }));
    return host;
  };

  it("are never another version's: of a version that ends without a word, none are told", async () => {
    const host = await create();
    assert.match(readFileSync(join(host.state, "logs", "a-0.log"), "utf8"), new RegExp(`${WORDS} 1`));
    const mute = await makeRelease(host.archives, "2", { files: MUTE });
    const { lastError } = await host.untilOrder("a", await host.install("a", mute));
    assert.equal(lastError?.code, "WORKERS_EXITED");
    assert(!lastError?.message.includes(WORDS), lastError?.message);
  });

  it("are those of the process that ended, also if the one before it had the same version", async () => {
    const host = await create();
    const { "app.mjs": app } = talks;
    const release = await makeRelease(host.archives, "2", {
      // It says something at its first start only.
      files: { "app.mjs": app.replace("console.log", 'existsSync(process.env.CONTROL + "/end") || console.log') },
    });
    await host.installed("a", release);
    writeFileSync(join(host.directory, "end"), "");
    const { lastError } = await host.untilSlot("a", "is condemned", (slot) => slot.lastError?.code === "CRASH_LOOP");
    assert(lastError && !lastError.message.includes(WORDS), lastError?.message);
  });

  it("can still be told from earlier ones by the next agent, and are none where no agent has recorded that", async () => {
    const host = await create();
    const starts = () => {
      const { slots } = JSON.parse(readFileSync(join(host.state, "journal.json"), "utf8"));
      return (slots.a.workers as { outputStart?: string | null }[]).map(({ outputStart }) => outputStart);
    };
    const before = starts();
    assert.match(before[0] ?? "", /^\d+:\d+:/);
    await host.killAgent();
    await host.startAgent();
    await host.untilState("a", "serving");
    assert.deepEqual(starts(), before);
    await host.killAgent();
    // As an agent left it that did not record it yet.
    const path = join(host.state, "journal.json");
    const journal = JSON.parse(readFileSync(path, "utf8"));
    for (const worker of journal.slots.a.workers) delete worker.outputStart;
    writeFileSync(path, JSON.stringify(journal));
    await host.startAgent();
    await host.untilState("a", "serving");
    await until("the journal is written again", () => starts()[0] === null);
  });
});
