import { type Command, createArgument, Option } from "commander";
import type { Release } from "../../protocol/release.ts";
import type { Context } from "../context.ts";
import { ArgumentError } from "../errors.ts";
import { addOrderOptions, type OrderOptions, parseName, parseVersion, wholeNumberParser } from "../options.ts";
import { issueOrder } from "../orders/issue.ts";
import { readRelease } from "../publish/read-release.ts";
import { findRelease } from "../publish/releases.ts";

interface InstallOptions extends OrderOptions {
  workers?: number;
  url?: string;
  sha256?: string;
  size?: number;
  release?: string;
}

const EXAMPLES = `
Examples:
  slotd-controller install web 1.4.2 --slot a --all-hosts --wait
  slotd-controller install web 1.4.2 --slot b --host h1 --host h2 --workers 16
  slotd-controller install web 1.4.2 --slot a --host h1 \\
    --url https://files.example.com/web-1.4.2.tar.gz --sha256 9f86d0… --size 4821034
  slotd-controller publish web 1.4.2 dist/web-1.4.2.release.json \\
    --to /srv/releases --json > web.json
  slotd-controller install web 1.4.2 --slot a --all-hosts --release web.json`;

/** Stands for the release until it was found on the bus. */
const UNKNOWN = { url: "nats-object://unknown/unknown", sha256: "0".repeat(64), sizeBytes: 1 };

export function addInstall(program: Command, context: Context): void {
  const command = program
    .command("install")
    .summary("order a version into a slot")
    .description(
      "Orders a published release into a slot of each host. What the slot holds is " + "drained and removed first.",
    )
    .addArgument(createArgument("<service>", "application").argParser(parseName))
    .addArgument(createArgument("<version>", "release to install").argParser(parseVersion));
  addOrderOptions(command)
    .option("--workers <n>", "workers for the slot; overrides the host's share", wholeNumberParser(1))
    .option("--url <url>", "address of an archive that was not published; with --sha256 and --size")
    .option("--sha256 <hex>", "the archive's digest")
    .option("--size <bytes>", "the archive's size", wholeNumberParser(1))
    .addOption(
      new Option("--release <file>", "file of what `publish --json` printed, for other targets than the bus").conflicts(
        ["url", "sha256", "size"],
      ),
    )
    .addHelpText("after", EXAMPLES)
    .action((service: string, version: string, options: InstallOptions, self: Command) => {
      const given = givenRelease(service, version, options);
      const workers = options.workers === undefined ? {} : { workers: options.workers };
      return issueOrder(context, self, {
        service,
        options,
        draft: { action: "install", release: given ?? { version, ...UNKNOWN }, ...workers },
        complete: async (bus) => {
          const release = given ?? (await findRelease(bus, service, version));
          return { action: "install", release, ...workers };
        },
      });
    });
}

function givenRelease(
  service: string,
  version: string,
  { url, sha256, size, release }: InstallOptions,
): Release | undefined {
  if (release !== undefined) return readRelease(service, version, release);
  if (url === undefined && sha256 === undefined && size === undefined) return undefined;
  if (url === undefined) throw new ArgumentError("--url", "is required with --sha256 or --size");
  if (sha256 === undefined) throw new ArgumentError("--sha256", "is required with --url");
  if (size === undefined) throw new ArgumentError("--size", "is required with --url");
  return { version, url, sha256, sizeBytes: size };
}
