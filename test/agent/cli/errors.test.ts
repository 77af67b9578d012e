import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, chown, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SlotctlUsageError } from "../../../agent/cli/errors.ts";
import { chooseSocket } from "../../../agent/cli/socket.ts";
import { PATIENCE_MS } from "../../support/until.ts";
import { startFakeAgent } from "./support/fake-agent.ts";
import { scratch } from "./support/scratch.ts";
import { slotctl } from "./support/slotctl.ts";

const timeout = 3 * PATIENCE_MS;

describe("slotctl's errors", () => {
  it("the socket is the named one, else the service's, else the environment's, else the only one", async (t) => {
    const runDirectory = await scratch(t);
    await writeFile(join(runDirectory, "web.sock"), "");
    await writeFile(join(runDirectory, "web.lock"), "");
    const environment = "/from/environment.sock";
    assert.equal(chooseSocket({ runDirectory, environment, service: "api", socket: "/x.sock" }), "/x.sock");
    assert.equal(chooseSocket({ runDirectory, environment, service: "api" }), join(runDirectory, "api.sock"));
    assert.equal(chooseSocket({ runDirectory, environment }), environment);
    assert.equal(chooseSocket({ runDirectory }), join(runDirectory, "web.sock"));
  });

  it("no socket or several is wrong usage, and the message says how to choose", async (t) => {
    const runDirectory = await scratch(t);
    const says = (pattern: RegExp) => (error: unknown) =>
      error instanceof SlotctlUsageError && pattern.test(error.message);
    assert.throws(
      () => chooseSocket({ runDirectory }),
      says(/no control socket in .*--socket PATH, --service NAME or SLOTD_SOCKET/),
    );
    assert.throws(() => chooseSocket({ runDirectory: join(runDirectory, "none") }), says(/no control socket/));
    await writeFile(join(runDirectory, "web.sock"), "");
    await writeFile(join(runDirectory, "api.sock"), "");
    assert.throws(() => chooseSocket({ runDirectory }), says(/several agents run here \(api, web\); .*--service NAME/));
    assert.throws(() => chooseSocket({ runDirectory, service: "../etc" }), says(/not a valid service name/));
  });

  it("SLOTD_SOCKET names the agent", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    const { exitCode } = await slotctl(t, ["slots"], { env: { SLOTD_SOCKET: agent.socketPath } });
    assert.equal(exitCode, 0);
  });

  it("a missing agent exits with 3", { timeout }, async (t) => {
    const directory = await scratch(t);
    const missing = await slotctl(t, ["status", "--socket", join(directory, "none.sock")]);
    assert.equal(missing.exitCode, 3);
    assert.match(missing.stderr, /^error AGENT_UNREACHABLE: no agent answers on \S+ \(the socket does not exist\)/);
    const file = join(directory, "file.sock");
    await writeFile(file, "");
    const silent = await slotctl(t, ["events", "--socket", file, "--json"]);
    assert.equal(silent.exitCode, 3);
    assert.match(silent.stderr, /nothing listens on it/);
    assert.equal(JSON.parse(silent.stdout.trimEnd().split("\n").at(-1) ?? "").error.code, "AGENT_UNREACHABLE");
  });

  it("a socket that hangs up or does not speak HTTP is not an agent", { timeout }, async (t) => {
    const socketPath = join(await scratch(t), "odd.sock");
    for (const answer of ["", "220 smtp ready\r\n"]) {
      const server = createServer((connection) =>
        connection.once("data", () => connection.end(answer)).on("error", () => {}),
      );
      server.listen(socketPath);
      await once(server, "listening");
      try {
        const { exitCode, stderr } = await slotctl(t, ["status", "--socket", socketPath]);
        assert.match(stderr, /^error AGENT_UNREACHABLE: /);
        assert.equal(exitCode, 3);
      } finally {
        server.close();
        await once(server, "close");
      }
    }
  });

  it("the agent's error is shown with its code, and as JSON with --json", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.refusal = { httpStatus: 409, error: { code: "SLOT_STATE", message: "can't do that", field: "slot" } };
    const { exitCode, stdout, stderr } = await slotctl(t, ["undrain", "a", "--json", "--socket", agent.socketPath]);
    assert.equal(exitCode, 1);
    assert.equal(stderr, "error SLOT_STATE: can't do that\n");
    assert.deepEqual(JSON.parse(stdout), { error: { code: "SLOT_STATE", message: "can't do that", field: "slot" } });
  });

  it("an invalid answer is an error that names the field", { timeout }, async (t) => {
    const agent = await startFakeAgent(t);
    agent.status = { ...agent.status, pid: "many" as unknown as number };
    const { exitCode, stderr } = await slotctl(t, ["status", "--socket", agent.socketPath]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^error INTERNAL: .*\(pid: .*same version\?$/m);
  });

  it("a wrong command line exits with 2, with the error on stderr, and as JSON with --json", { timeout }, async (t) => {
    for (const args of [
      ["stats"],
      ["drain"],
      ["logs", "-n", "many"],
      ["logs", "--worker", "0"],
      ["status", "--bogus"],
    ]) {
      const { exitCode, stdout, stderr } = await slotctl(t, [...args, "--json"], {
        env: { SLOTD_SOCKET: "/none.sock" },
      });
      assert.equal(exitCode, 2, args.join(" "));
      assert.match(stderr, /^error USAGE: [^\n]+\n$/);
      assert.equal(JSON.parse(stdout).error.code, "USAGE");
    }
  });

  it("every verb has help with an example", { timeout }, async (t) => {
    for (const verb of ["status", "slots", "workers", "logs", "events", "drain", "undrain", "restart", "doctor"]) {
      const { exitCode, stdout } = await slotctl(t, [verb, "--help"]);
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`Examples?:\\n +(sudo )?slotctl ${verb}`));
    }
  });

  it("a user outside the socket's group learns which group to join", {
    timeout,
    skip: process.getuid?.() !== 0 && "needs root to run as another user",
  }, async (t) => {
    const agent = await startFakeAgent(t);
    await chmod(join(agent.socketPath, ".."), 0o755);
    await chmod(agent.socketPath, 0o660);
    await chown(agent.socketPath, 0, 4); // adm on Debian and its derivatives
    const nobody = { uid: 65534 };
    const grouped = await slotctl(t, ["status", "--socket", agent.socketPath], nobody);
    assert.equal(grouped.exitCode, 3);
    assert.match(
      grouped.stderr,
      /^error AGENT_UNREACHABLE: permission denied on \S+: only members of group adm may use it; join it/,
    );
    await chmod(agent.socketPath, 0o600);
    const owned = await slotctl(t, ["status", "--socket", agent.socketPath], nobody);
    assert.match(owned.stderr, /only its owner may use it; set \[control\] group/);
  });
});
