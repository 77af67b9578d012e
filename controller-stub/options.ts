import { type Command, InvalidArgumentError, Option } from "commander";
import type { z } from "zod";
import { hostSchema, nameSchema, versionSchema } from "../protocol/names.ts";

/** The servers of the bus, and the credentials to use there. */
export interface LoginOptions {
  nats?: string[];
  context?: string;
  creds?: string;
  nkey?: string;
  user?: string;
  passwordFile?: string;
  tokenFile?: string;
  tlsca?: string;
  tlscert?: string;
  tlskey?: string;
}

export interface ControllerOptions extends LoginOptions {
  json?: boolean;
  timeout?: number;
  replicas: number;
}

/** Parses an option by one of the protocol's rules. */
function ruled(schema: z.ZodType<string>): (text: string) => string {
  return (text) => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? "is not valid"}.`);
  };
}

export const parseName = ruled(nameSchema);
export const parseVersion = ruled(versionSchema);
const parseHost = ruled(hostSchema);

/** Parses an option that is repeatable, or has commas between its values. */
export function parseHosts(text: string, before: string[] = []): string[] {
  return [...before, ...splitList(text).map(parseHost)];
}

export function parseServers(text: string, before: string[] = []): string[] {
  const given = splitList(text);
  if (given.length === 0) throw new InvalidArgumentError("It must name a server.");
  return [...before, ...given];
}

export function splitList(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

export function wholeNumberParser(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const bound = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${bound}.`);
  };
}

/** Up to the longest time that a timer of Node can wait. */
export const parseTimeout = wholeNumberParser(1, 2 ** 31 - 1);

/** The options of both `install` and `uninstall`. */
export interface OrderOptions {
  slot: string;
  host?: string[];
  allHosts?: boolean;
  unseen?: boolean;
  wait?: boolean;
  by?: string;
  epoch?: number;
  id?: string;
}

export function addOrderOptions(command: Command): Command {
  return command
    .addOption(new Option("--slot <slot>", "slot that the order is for").argParser(parseName).makeOptionMandatory())
    .addOption(
      new Option("--host <host>", "host that the order is for; repeatable, or with commas").argParser(parseHosts),
    )
    .addOption(new Option("--all-hosts", "all hosts of the service that have reported").conflicts("host"))
    .option("--unseen", "order also for a --host that has never reported")
    .option("--wait", "wait for the outcome on every host, at most --timeout (10 min)")
    .option("--by <name>", "who issues the order")
    .addOption(new Option("--epoch <n>", "use this epoch instead of the next").argParser(wholeNumberParser(0)))
    .option("--id <id>", "use this order id; the same id again repeats the same order");
}
