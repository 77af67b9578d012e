import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, createArgument, InvalidArgumentError, Option } from "commander";
import { listServices } from "../../bus/list-services.ts";
import type { BusSession } from "../../bus/session.ts";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { type ArchiveFormat, packageSuffix } from "../../protocol/package.ts";
import { type Context, LeftOut, withBus } from "../context.ts";
import { freeVersion } from "../deploy/run/verbs/free-version.ts";
import { ArgumentError } from "../errors.ts";
import { parseName, parseVersion } from "../options.ts";
import { checkArchive } from "../publish/check-archive.ts";
import { publishPackage } from "../publish/packages.ts";
import { type OnProgress, type Published, publishArchive } from "../publish/releases.ts";
import { DirectoryTarget } from "../publish/targets/directory.ts";
import { addressBelow, baseUrl, HttpTarget } from "../publish/targets/http.ts";
import { NatsTarget } from "../publish/targets/nats.ts";
import type { PublishTarget } from "../publish/targets/target.ts";
import { formatBytes } from "../terminal/render.ts";

const MAX_MIRRORS = 8;

interface PublishOptions {
  to: string;
  headersFile?: string;
  format?: ArchiveFormat;
  mirror?: URL[];
  anyName?: boolean;
  replace?: boolean;
}

const EXAMPLES = `
Below --to, and below each mirror, an archive is SERVICE/VERSION.tar.gz, and the
files of a package are SERVICE/VERSION/FILE. To deploy a release that is not
published on the bus, use \`deploy --release FILE\` (or \`prepare\`, or
\`install\`) with a file of what \`publish --json\` printed.

Examples:
  slotd-controller publish web 1.4.2 dist/web-1.4.2.release.json
  slotd-controller publish web 1.4.2 dist/web-1.4.2.tar.gz
  slotd-controller publish web 1.4.2 dist/web-1.4.2.release.json \\
    --to /srv/releases
  slotd-controller publish web 1.4.2 dist/web-1.4.2.release.json \\
    --to https://files.example.com/ --headers-file put.headers`;

export function addPublish(program: Command, context: Context): void {
  program
    .command("publish")
    .summary("put a release where hosts fetch it")
    .description(
      "Puts a release where hosts fetch it: an archive (.tar, .tar.gz or .tar.zst), or " +
        "everything that `slotctl pack` made, with deltas, manifest and signatures. A " +
        "version never changes: publishing the same content again is fine, other content " +
        "is refused.",
    )
    .addArgument(createArgument("<service>", "application that the release is of").argParser(parseName))
    .addArgument(createArgument("<version>", "name of the release; never reused").argParser(parseVersion))
    .argument("<file>", `archive, or NAME-V${packageSuffix}`)
    .option("--to <place>", "nats, a directory, or an http(s) address that takes PUT", "nats")
    .option("--headers-file <file>", 'lines of "Name: value" to send along with http(s) requests')
    .addOption(new Option("--format <format>", "which archive of a package hosts get").choices(["gz", "zst"]))
    .option("--mirror <url>", "another address with the same files below it; repeatable", aMirror)
    .option("--any-name", "publish a package that was packed under another name than the service's")
    .option(
      "--replace",
      "replace other content of this version on the bus; only if no host holds it, and it was never served",
    )
    .addHelpText("after", EXAMPLES)
    .action((service: string, version: string, file: string, options: PublishOptions, command: Command) =>
      publish(context, command, { service, version, file }, options),
    );
}

function aMirror(text: string, before: URL[] = []): URL[] {
  if (before.length === MAX_MIRRORS) throw new InvalidArgumentError(`There may be ${MAX_MIRRORS}.`);
  return [...before, baseUrl("--mirror", text)];
}

async function publish(
  context: Context,
  command: Command,
  what: { service: string; version: string; file: string },
  { format, mirror = [], anyName = false, ...options }: PublishOptions,
): Promise<void> {
  const { output } = context;
  const mirrorsOf = (name: string) => mirror.map((base) => addressBelow(base, name).href);
  const onProgress: OnProgress = (done, total) =>
    output.progress(done === total ? "" : `${formatBytes(done)} of ${formatBytes(total)}`);
  const isPackage = what.file.endsWith(packageSuffix);
  if (format !== undefined && !isPackage) throw new ArgumentError("--format", `is for a NAME-V${packageSuffix}`);
  if (!isPackage) await checkArchive(what.file);
  const { already, ...release } = await withTarget(context, command, { ...options, ...what }, (target) =>
    isPackage
      ? publishPackage(target, { ...what, format, anyName, mirrorsOf }, onProgress)
      : publishArchive(target, { ...what, mirrorsOf }, onProgress),
  );
  output.object({ service: what.service, ...release, already });
  report(context, what.service, { ...release, already });
}

type TargetOptions = Pick<PublishOptions, "to" | "headersFile" | "replace"> & { service: string; version: string };

function withTarget<T>(
  context: Context,
  command: Command,
  { to, headersFile, replace = false, ...what }: TargetOptions,
  use: (target: PublishTarget) => Promise<T>,
): Promise<T> {
  const isHttp = /^https?:\/\//.test(to);
  if (headersFile !== undefined && !isHttp) throw new ArgumentError("--headers-file", "is for --to http(s)://…");
  if (replace && to !== "nats") throw new ArgumentError("--replace", "is for releases on the bus");
  if (isHttp) return use(new HttpTarget(to, headersFile, context.signal));
  if (to === "nats")
    return withBus(context, command, async (bus) => {
      await warnIfUnknown(context, bus, what.service);
      if (replace) await freeVersion(bus, what, new LeftOut(context.output).note);
      return use(new NatsTarget(bus));
    });
  if (to.includes("://") && !to.startsWith("file:///"))
    throw new ArgumentError("--to", "must be nats, a directory, file:///…, or http(s)://…");
  return use(new DirectoryTarget(to.startsWith("file:///") ? fileURLToPath(to) : resolve(to), context.signal));
}

/** The first release of a service may come before its first host, or its name is a typing error. */
async function warnIfUnknown({ output }: Context, bus: BusSession, service: string): Promise<void> {
  const known = await listServices(bus);
  if (!known.includes(service))
    output.warn(`no host, order or route of ${service} is known yet${didYouMean(service, known)}`);
}

function report({ output }: Context, service: string, release: Published): void {
  const { version, already, sha256, sizeBytes, url, tree, deltas = [], signatures = [] } = release;
  output.line(`${service} ${version} ${already ? "is already published" : "published"}`);
  output.line(`sha256 ${sha256}`);
  output.line(`size   ${sizeBytes} bytes`);
  output.line(`url    ${url}`);
  if (tree === undefined) return;
  output.line(`tree   ${tree}`);
  for (const delta of deltas) output.line(`delta  ${formatBytes(delta.sizeBytes)}, against ${delta.base}`);
  output.line(`signed ${signatures.map(({ key }) => key).join(", ") || "no"}`);
}
