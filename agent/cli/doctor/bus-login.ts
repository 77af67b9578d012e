import { accessSync, constants } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { loginOptions } from "../../../bus/login.ts";
import { redact } from "../../../protocol/errors.ts";
import type { Config } from "../../config/schema.ts";
import { type Check, fail, ok, reason, warn } from "./check.ts";

const name = "bus login";

/** Whether the bus accepts our credentials, and has JetStream for us. Answers within the bound, give or take a moment. */
export async function checkLogin(config: Config["nats"], timeoutMs = 2_000): Promise<Check> {
  const unreadable = secretFiles(config).flatMap((file) => unreadableFile(file));
  const [first] = unreadable;
  if (first?.why === "EACCES") return warn(name, `${first.file} may not be read by you`, "run doctor with sudo");
  if (first) return fail(name, `${first.file} can't be read (${first.why})`, "mend the file, or its name in [nats]");
  const late = new AbortController();
  const bound = sleep(timeoutMs, tooLate(timeoutMs), { signal: late.signal }).catch(() => tooLate(timeoutMs));
  try {
    return await Promise.race([tryLogin(config, timeoutMs), bound]);
  } finally {
    late.abort();
  }
}

async function tryLogin(config: Config["nats"], timeoutMs: number): Promise<Check> {
  try {
    const nc = await connect({ ...loginOptions(config), name: "slotctl doctor", reconnect: false, timeout: timeoutMs });
    try {
      const who = nc.info?.version ? `nats-server ${nc.info.version}` : "the server";
      const { streams, limits } = await (await jetstreamManager(nc, { timeout: timeoutMs / 2 })).getAccountInfo();
      const room = limits.max_streams > 0 ? ` of ${limits.max_streams}` : "";
      return ok(name, `${who} accepts our credentials and has JetStream (${streams}${room} streams)`);
    } catch (error) {
      return fail(
        name,
        `the server accepts our credentials, but JetStream does not answer (${describe(error)})`,
        "start nats-server with JetStream (-js), and enable it for this account",
      );
    } finally {
      await nc.close();
    }
  } catch (error) {
    return fail(
      name,
      `the bus refused us (${describe(error)})`,
      "mend the credentials in [nats], or the server's users",
    );
  }
}

function tooLate(timeoutMs: number): Check {
  return fail(name, `no answer within ${timeoutMs} ms`, "look at the server's log and load");
}

function secretFiles({ credentials_file, password_file, token_file, tls }: Config["nats"]): string[] {
  return [credentials_file, password_file, token_file, tls?.ca_file, tls?.cert_file, tls?.key_file].filter(
    (file) => file !== undefined,
  );
}

function unreadableFile(file: string): { file: string; why: string }[] {
  try {
    accessSync(file, constants.R_OK);
    return [];
  } catch (error) {
    return [{ file, why: reason(error) }];
  }
}

/** The first line of what went wrong at the root: the client wraps "Authorization Violation" as "connection refused". */
function describe(error: unknown): string {
  if (error instanceof Error && error.cause instanceof Error) return describe(error.cause);
  return redact(error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
