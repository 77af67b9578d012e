import { type Command, createArgument, InvalidArgumentError, Option } from "commander";
import type { DeployPlan } from "../../protocol/deploy.ts";
import { parseName, parseTimeout, parseVersion, splitList, wholeNumberParser } from "../options.ts";

/** What every verb that changes a service takes. */
export interface RunOptions {
  by?: string;
  barrierTimeout: number;
  withoutEdge?: string[];
  lease: number;
  patience: number;
}

export interface WaveOptions extends RunOptions {
  wave: DeployPlan["wave"];
  maxFailures: number;
  pause: number;
  only?: string[];
  exclude?: string[];
}

export interface DeployOptions extends WaveOptions {
  canary?: string;
  excludeAbsent?: boolean;
  message?: string;
  dryRun?: boolean;
}

const LEASE_MS = 15_000;
const BARRIER_MS = 60_000;
const PATIENCE_MS = 60_000;
/** A lease of which a renewal takes a good part is lost by a busy moment. */
const SHORTEST_LEASE_MS = 200;
const PATTERN = /^[a-z0-9*][a-z0-9._*-]{0,252}$/;

/** A share in percent, or a number of hosts. */
function aWave(text: string): DeployPlan["wave"] {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  const value = Number(percent ?? (/^\d+$/.test(text) ? text : Number.NaN));
  if (value > 0 && percent === undefined) return { hosts: value };
  if (value > 0 && value <= 100) return { percent: value };
  throw new InvalidArgumentError("It must be a share such as 10%, or a number of hosts.");
}

function patterns(text: string, before: string[] = []): string[] {
  const given = splitList(text);
  const wrong = given.find((pattern) => !PATTERN.test(pattern));
  if (wrong === undefined && given.length > 0) return [...before, ...given];
  throw new InvalidArgumentError("It must be a host's name, in which * stands for any characters.");
}

function edges(text: string, before: string[] = []): string[] {
  return [...before, ...splitList(text).map(parseName)];
}

export const serviceArgument = () => createArgument("<service>", "application").argParser(parseName);
export const versionArgument = (what: string) => createArgument("<version>", what).argParser(parseVersion);

export function addRunOptions(command: Command): Command {
  return command
    .option("--by <name>", "who does it, for the record")
    .option("--barrier-timeout <ms>", "how long edges and members are waited for", parseTimeout, BARRIER_MS)
    .addOption(
      new Option("--without-edge <name>", "an edge that is not waited for; repeatable, or with commas").argParser(
        edges,
      ),
    )
    .option(
      "--lease <ms>",
      "after this time without a sign the run counts as dead",
      wholeNumberParser(SHORTEST_LEASE_MS),
      LEASE_MS,
    )
    .option("--patience <ms>", "how long a bus that is away is waited for", parseTimeout, PATIENCE_MS);
}

export function addWaveOptions(command: Command, wave: DeployPlan["wave"] = { percent: 10 }): Command {
  const shown = "percent" in wave ? `${wave.percent}%` : String(wave.hosts);
  return addRunOptions(command)
    .addOption(
      new Option("--wave <n>", "hosts at once: a share such as 10%, or a number").argParser(aWave).default(wave, shown),
    )
    .option("--max-failures <n>", "this many hosts may fail", wholeNumberParser(0), 0)
    .option("--pause <ms>", "between two waves", wholeNumberParser(0, 2 ** 31 - 1), 0)
    .addOption(new Option("--only <host>", "hosts that take part, by name or pattern; repeatable").argParser(patterns))
    .addOption(new Option("--exclude <host>", "hosts that do not; repeatable").argParser(patterns));
}

export function addDeployOptions(command: Command): Command {
  return addWaveOptions(command)
    .option("--canary <stage>", "the hosts of this stage first, as a wave of their own", parseName)
    .option("--exclude-absent", "order for hosts that do not report, and do not wait for them")
    .option("--message <text>", "why, for the record", aMessage)
    .option("--dry-run", "print the plan and change nothing");
}

function aMessage(text: string): string {
  if (text.length <= 1024) return text;
  throw new InvalidArgumentError("It must have at most 1024 characters.");
}

export function planOf(options: DeployOptions): DeployPlan {
  const {
    wave,
    maxFailures,
    pause,
    canary,
    only = [],
    exclude = [],
    excludeAbsent = false,
    withoutEdge = [],
  } = options;
  return {
    ...{ wave, maxFailures, pauseMs: pause, canaryStage: canary ?? null, only, exclude, excludeAbsent },
    withoutEdges: withoutEdge,
  };
}
