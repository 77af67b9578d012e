import { Command, CommanderError, Option } from "commander";
import { defaultServer } from "../bus/address.ts";
import { programVersion } from "../bus/program-version.ts";
import { defaultTimeoutMs } from "../bus/session.ts";
import { type SlotdError, toSlotdError } from "../protocol/errors.ts";
import { exitCodes } from "../protocol/exit-codes.ts";
import { ControllerError, OrderNotDoneError } from "./errors.ts";
import { parseServers, parseTimeout, wholeNumberParser } from "./options.ts";
import type { CommandOutput } from "./terminal/output.ts";

const AFTER = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the bus can't be reached.

Examples:
  slotd-controller publish web 1.4.2 dist/web-1.4.2.tar.gz
  slotd-controller deploy web 1.4.2 --message "faster checkout"
  slotd-controller status web`;

/** The command without its verbs. */
export function createProgram(): Command {
  return new Command("slotd-controller")
    .version(programVersion, "--version", "print the version")
    .description("Publishes releases, deploys them to a fleet, and installs them into single slots.")
    .addOption(
      new Option(
        "--nats <url>",
        `servers of the bus; repeatable, or with commas (SLOTD_NATS, or ${defaultServer})`,
      ).argParser(parseServers),
    )
    .option("--context <name>", "a context of the nats command: server and login (SLOTD_CONTEXT)")
    .option("--creds <file>", "log in with a credentials file (SLOTD_CREDS)")
    .option("--nkey <file>", "log in with the seed of an NKey (SLOTD_NKEY)")
    .option("--user <name>", "log in as a user, with --password-file (SLOTD_USER)")
    .option("--password-file <file>", "the user's password (SLOTD_PASSWORD_FILE)")
    .option("--token-file <file>", "log in with a token (SLOTD_TOKEN_FILE)")
    .option("--tlsca <file>", "trust servers with a certificate of this authority (SLOTD_TLSCA)")
    .option("--tlscert <file>", "show the server this certificate (SLOTD_TLSCERT)")
    .option("--tlskey <file>", "key of --tlscert (SLOTD_TLSKEY)")
    .option("--json", "print JSON")
    .option(
      "--timeout <ms>",
      `how long to wait for the bus, and with --wait (${defaultTimeoutMs}; 600000)`,
      parseTimeout,
    )
    .option("--replicas <n>", "replicas of what is created on the bus", wholeNumberParser(1, 5), 1)
    .addHelpText("after", AFTER)
    .configureHelp({ showGlobalOptions: true, subcommandTerm })
    .exitOverride()
    .configureOutput({ outputError: () => {} });
}

/** Without `[options]`, so that the summaries fit into 80 columns. */
function subcommandTerm(verb: Command): string {
  const names = verb.registeredArguments.map((argument) => `<${argument.name()}>`);
  return [verb.name(), ...names].join(" ");
}

/** Runs the command, and prints the error that it ends with. @returns the exit code */
export async function runProgram(program: Command, args: readonly string[], output: CommandOutput): Promise<number> {
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCodes.done;
  } catch (error) {
    if (error instanceof CommanderError) return endParsing(error, output);
    return error instanceof ControllerError ? endOwn(error, output) : endOther(toSlotdError(error), output);
  }
}

function endParsing(error: CommanderError, output: CommandOutput): number {
  if (error.exitCode === 0) return exitCodes.done;
  // Without a verb the help was printed already.
  const message = error.code === "commander.help" ? "a verb is missing" : error.message.replace(/^error: /, "");
  output.error("USAGE", message);
  output.object({ error: { code: "USAGE", message } });
  return exitCodes.usage;
}

function endOwn(error: ControllerError, output: CommandOutput): number {
  if (error instanceof OrderNotDoneError) {
    for (const { host, code, outcome, message } of error.failures) output.error(code, `${host} ${outcome}: ${message}`);
    if (error.missing.length > 0) output.error("WAIT_TIMEOUT", error.missingMessage);
  } else {
    output.error(error.code, error.message);
  }
  output.object({ ...error.summary, error: { code: error.code, message: error.message, ...error.facts() } });
  return error.exitCode;
}

function endOther(error: SlotdError, output: CommandOutput): number {
  output.error(error.code, error.message);
  output.object({ error: error.toWire() });
  if (error.code === "BUS_UNREACHABLE") return exitCodes.unreachable;
  return error.code === "ORDER_MALFORMED" ? exitCodes.usage : exitCodes.failed;
}
