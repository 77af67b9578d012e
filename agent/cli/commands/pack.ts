import { realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { Command } from "commander";
import type { Manifest } from "../../../protocol/manifest.ts";
import { nameSchema, versionSchema } from "../../../protocol/names.ts";
import { type ArchiveFormat, maxPackageArchives, packageFiles } from "../../../protocol/package.ts";
import type { PackResult } from "../../pack/pack.ts";
import { SlotctlUsageError } from "../errors.ts";
import { readKeys } from "../key-option.ts";
import { repeatedOption } from "../option-values.ts";
import { bytes, percent, plural } from "../render/amounts.ts";
import type { SlotctlSession } from "../session.ts";

const FORMATS: readonly string[] = ["gz", "zst"] satisfies ArchiveFormat[];
const MAX_FILE_NAME = 255;

interface Options {
  version: string;
  name?: string;
  base?: string[];
  format?: string[];
  sign?: string[];
  to: string;
}

const help = `
Writes NAME-V.tar.gz, a delta NAME-V-from-BASE.tar.gz for each --base, NAME-V.manifest.json, and NAME-V.release.json, which describes
the others and is the input of \`slotctl sign\`, \`slotctl verify\` and \`slotd-controller publish\`. The result is reproducible: the same
files always give the same bytes. Paths listed in DIR/.slotdignore are left out; its syntax is that of .gitignore. SOURCE_DATE_EPOCH
sets the time of all entries; without it, a file's time is derived from its content. Needs no agent.

Examples:
  slotctl pack build --name web --version 1.4.2 --to dist
  slotctl pack build --name web --version 1.4.3 --to dist \\
    --base dist/web-1.4.2.release.json --sign release.key
  slotctl pack build --name web --version 1.4.3 --to dist \\
    --format gz --format zst`;

export function packCommand(session: SlotctlSession): Command {
  return new Command("pack")
    .description("packs a directory as a release: archive, deltas, manifest, description")
    .argument("<dir>", "the release's files")
    .requiredOption("--version <version>", "the release's version, never to be reused")
    .option("--name <name>", "prefix of the file names (default: the directory's name)")
    .option("--base <file>", "NAME-V.release.json of a release to make a delta against; repeatable", repeatedOption)
    .option("--format <format>", "gz or zst; repeatable (default: gz)", repeatedOption)
    .option("--sign <keyfile>", "sign with this key; repeatable", repeatedOption)
    .option("--to <dir>", "output directory", ".")
    .addHelpText("after", help)
    .action((directory: string, options: Options) => packDirectory(session, directory, options));
}

async function packDirectory(session: SlotctlSession, directory: string, options: Options): Promise<void> {
  requireDirectory(directory);
  const version = checked("--version", versionSchema, options.version);
  const name = checked("--name", nameSchema, options.name ?? basename(resolve(directory)));
  const to = resolve(options.to);
  // Loaded here so that other verbs need not wait for it.
  const { pack } = await import("../../pack/pack.ts");
  await requireOutside(directory, to);
  const formats = await chooseFormats(options.format);
  const bases = await readBases(options.base ?? [], { name, version, formats });
  const keys = await readKeys("--sign", options.sign ?? []);
  const { signal, sourceDateEpoch } = session.context;
  const mtimeSeconds = epoch(sourceDateEpoch);
  let shown = "";
  const onProgress = (step: string, done: number, total: number) => {
    const text = `${step} ${percent(done, total)}%`;
    if (text !== shown) session.progress(text);
    shown = text;
  };
  const job = { directory, name, version, formats, bases, keys, to, mtimeSeconds, signal, onProgress };
  show(session, await pack(job).finally(() => session.progress("")));
}

function show(session: SlotctlSession, { manifest, description, path }: PackResult): void {
  if (session.json) {
    session.printJson({ ...description, description: path, entries: manifest.entries.length });
    return;
  }
  const entries = plural(manifest.entries.length, "entry").replace(/entrys$/, "entries");
  session.print(`${description.version}  ${entries}, tree ${description.tree}`);
  for (const each of packageFiles(description))
    session.print(`${join(dirname(path), each.file)}  ${bytes(each.sizeBytes)}, sha256 ${each.sha256}`);
  const by = description.signatures.map(({ key }) => key).join(", ");
  session.print(`${path}  ${by ? `signed by ${by}` : "not signed"}`);
}

function checked(option: string, schema: typeof nameSchema, text: string): string {
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new SlotctlUsageError(`${option} ${parsed.error.issues[0]?.message}, not ${JSON.stringify(text)}`);
}

function requireDirectory(directory: string): void {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return;
  const why = stats ? "is not a directory" : "does not exist";
  throw new SlotctlUsageError(`${directory} ${why}: pack takes the directory with the release's files`);
}

/** The output must not land in the packed directory, unless it is ignored there. */
async function requireOutside(directory: string, to: string): Promise<void> {
  const path = relative(realpathSync(directory), real(to));
  if (path.startsWith("..")) return;
  const { ignoreRules } = await import("../../pack/scan.ts");
  if (path !== "" && (await ignoreRules(directory)).ignores(`${path}/`)) return;
  throw new SlotctlUsageError(`--to ${to} is inside the packed directory: choose another, or list it in .slotdignore`);
}

/** The path with links resolved, as far as it exists. */
function real(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) ? realpathSync(path) : join(real(dirname(path)), basename(path));
}

async function chooseFormats(given: string[] = ["gz"]): Promise<ArchiveFormat[]> {
  const wrong = given.find((format) => !FORMATS.includes(format));
  if (wrong !== undefined) throw new SlotctlUsageError(`--format must be gz or zst, not ${JSON.stringify(wrong)}`);
  if (given.includes("zst") && !(await import("../../os/zstd.ts")).hasZstd())
    throw new SlotctlUsageError("--format zst needs the zstd command: install it, or leave out that format");
  return FORMATS.filter((format): format is ArchiveFormat => given.includes(format));
}

interface Target {
  name: string;
  version: string;
  formats: readonly ArchiveFormat[];
}

async function readBases(files: string[], { name, version, formats }: Target): Promise<Manifest[]> {
  const { readPackage, readPackedManifest } = await import("../../pack/package-file.ts");
  const bases = new Map<string, Manifest>();
  for (const file of files) {
    const description = await readPackage(file);
    if (description.version === version) throw new SlotctlUsageError(`--base ${file} is of version ${version} itself`);
    const base = await readPackedManifest(file, description);
    if (bases.has(base.version)) throw new SlotctlUsageError(`--base ${file} is the second of version ${base.version}`);
    bases.set(base.version, base);
    if (Buffer.byteLength(`${name}-${version}-from-${base.version}.tar.zst`) > MAX_FILE_NAME)
      throw new SlotctlUsageError(`--base ${file}: the delta's name would be longer than ${MAX_FILE_NAME} bytes`);
  }
  const most = Math.floor((maxPackageArchives - formats.length) / formats.length);
  if (bases.size > most) throw new SlotctlUsageError(`--base may be given at most ${most} times`);
  return [...bases.values()];
}

/** https://reproducible-builds.org/specs/source-date-epoch/ */
function epoch(text: string | undefined): number | null {
  if (text === undefined || text === "") return null;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new SlotctlUsageError(`SOURCE_DATE_EPOCH must be a number of seconds since 1970, not ${JSON.stringify(text)}`);
}
