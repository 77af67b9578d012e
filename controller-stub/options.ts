import { type Command, InvalidArgumentError, Option } from "commander";
import type { z } from "zod";
import { hostSchema, nameSchema, versionSchema } from "../protocol/names.ts";

/** Where the bus is, and who one is there. */
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

export interface GlobalOptions extends LoginOptions {
  json?: boolean;
  timeout?: number;
  replicas: number;
}

/** A value that a rule of the protocol holds for. */
function ruled(schema: z.ZodType<string>): (text: string) => string {
  return (text) => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? "is not valid"}.`);
  };
}

export const aName = ruled(nameSchema);
export const aVersion = ruled(versionSchema);
const aHost = ruled(hostSchema);

/** For an option that may be given several times, or once with commas. */
export function hosts(text: string, before: string[] = []): string[] {
  return [...before, ...list(text).map(aHost)];
}

export function servers(text: string, before: string[] = []): string[] {
  const given = list(text);
  if (given.length === 0) throw new InvalidArgumentError("It must name a server.");
  return [...before, ...given];
}

export function list(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const bound = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`It must be a whole number ${bound}.`);
  };
}

/** The longest that a timer of Node takes. */
export const aTimeout = wholeNumber(1, 2 ** 31 - 1);

/** What `install` and `uninstall` have in common. */
export interface OrderOptions {
  slot: string;
  host?: string[];
  allHosts?: boolean;
  wait?: boolean;
  by?: string;
  epoch?: number;
  id?: string;
}

export function addOrderOptions(command: Command): Command {
  return command
    .addOption(new Option("--slot <slot>", "slot to order for").argParser(aName).makeOptionMandatory())
    .addOption(new Option("--host <host>", "host to order for; repeatable, or with commas").argParser(hosts))
    .addOption(new Option("--all-hosts", "every host of the service that has reported").conflicts("host"))
    .option("--wait", "wait until the order has an outcome on every host, at most --timeout (10 min)")
    .option("--by <name>", "who issues the order")
    .addOption(new Option("--epoch <n>", "use this epoch instead of the next").argParser(wholeNumber(0)))
    .option("--id <id>", "use this order id; the same id again repeats the same order");
}
