import { accessSync, constants } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { loginFiles } from "../../../bus/login-rules.ts";
import { probeLogin } from "../../../bus/probe-login.ts";
import type { Config } from "../../config/schema.ts";
import { type Check, fail, ok, reason, warn } from "./check.ts";

const name = "bus login";

/**
 * Whether the bus accepts our credentials and offers JetStream. Answers within about `timeoutMs`.
 * @param servers the configured servers that accept connections
 */
export async function checkLogin(
  config: Config["nats"],
  servers: readonly string[],
  timeoutMs = 2_000,
): Promise<Check> {
  const [first] = loginFiles(config).flatMap(({ file }) => unreadableFile(file));
  if (first?.why === "EACCES") return warn(name, `you may not read ${first.file}`, "run doctor with sudo");
  if (first) return fail(name, `${first.file} can't be read (${first.why})`, "fix the file, or its name in [nats]");
  const late = new AbortController();
  const bound = sleep(timeoutMs, tooLate(timeoutMs), { signal: late.signal }).catch(() => tooLate(timeoutMs));
  try {
    return await Promise.race([tryLogin(config, servers, timeoutMs), bound]);
  } finally {
    late.abort();
  }
}

async function tryLogin(config: Config["nats"], servers: readonly string[], timeoutMs: number): Promise<Check> {
  const probe = await probeLogin(config, servers, timeoutMs);
  switch (probe.result) {
    case "ok": {
      const who = probe.serverVersion ? `nats-server ${probe.serverVersion}` : "the server";
      const room = probe.maxStreams > 0 ? ` of ${probe.maxStreams}` : "";
      return ok(name, `${who} accepts our credentials and has JetStream (${probe.streams}${room} streams)`);
    }
    case "no JetStream":
      return fail(
        name,
        `the server accepts our credentials, but JetStream does not answer (${probe.why})`,
        "start nats-server with JetStream (-js), and enable it for this account",
      );
    case "refused":
      return fail(
        name,
        `the bus refused us (${probe.why})`,
        "fix the credentials or TLS settings in [nats], or the server's users",
      );
  }
}

function tooLate(timeoutMs: number): Check {
  return fail(name, `no answer within ${timeoutMs} ms`, "check the server's log and load");
}

function unreadableFile(file: string): { file: string; why: string }[] {
  try {
    accessSync(file, constants.R_OK);
    return [];
  } catch (error) {
    return [{ file, why: reason(error) }];
  }
}
