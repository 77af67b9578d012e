import { Command } from "commander";
import { exitCodes } from "../../../protocol/exit-codes.ts";
import { packageSuffix } from "../../../protocol/package.ts";
import type { Difference } from "../../../protocol/release-status.ts";
import { SlotctlUsageError } from "../errors.ts";
import { readPublicKeys } from "../key-option.ts";
import { repeatedOption } from "../option-values.ts";
import { bytes } from "../render/amounts.ts";
import type { SlotctlSession } from "../session.ts";

/** Enough for a large release on a busy disk. */
const VERIFY_TIMEOUT_MS = 30 * 60_000;

const DIFFERENCES: Record<Difference["what"], string> = {
  missing: "is missing",
  extra: "is not part of the release",
  type: "has another type",
  mode: "has another mode",
  content: "has other content",
};

const help = `
With a version: reads and hashes all of its files on this host, and lists those that differ from what was installed.
With a file: checks the files of a packed release against its description: size, SHA-256, and the tree in the manifest.
With --trusted, one of those keys must have signed it. Exits with 1 if a check failed.

Examples:
  slotctl verify 1.4.2
  slotctl verify dist/web-1.4.2.release.json --trusted release.key.pub`;

export function verifyCommand(session: SlotctlSession): Command {
  return new Command("verify")
    .description("checks that an installed or packed release is intact, and who signed a packed one")
    .argument("<what>", "NAME-V.release.json, or a version installed on this host")
    .option("--trusted <key>", "a public key (ed25519:…) or a file that holds one; repeatable", repeatedOption)
    .addHelpText("after", help)
    .action(async (what: string, { trusted = [] }: { trusted?: string[] }) => {
      if (what.endsWith(packageSuffix)) return verifyFile(session, what, trusted);
      if (trusted.length > 0)
        throw new SlotctlUsageError("--trusted works only with packed releases: name a NAME-V.release.json");
      await verifyInstalled(session, what);
    });
}

async function verifyInstalled(session: SlotctlSession, version: string): Promise<void> {
  const { good, differences, bytes: size, tree } = await session.client(VERIFY_TIMEOUT_MS).verify(version);
  if (!good) session.exitCode = exitCodes.failed;
  if (session.json) return session.printJson({ version, good, tree, bytes: size, differences });
  for (const { path, what } of differences) session.print(`FAIL  ${path}  ${DIFFERENCES[what]}`);
  if (good) session.print(`ok    ${version}  ${bytes(size)}, tree ${tree}`);
}

async function verifyFile(session: SlotctlSession, path: string, trusted: string[]): Promise<void> {
  const { verifyPackage } = await import("../../pack/verify.ts");
  const verdict = await verifyPackage(path, await readPublicKeys("--trusted", trusted));
  if (!verdict.ok) session.exitCode = exitCodes.failed;
  if (session.json) return session.printJson(verdict);
  for (const { file, why } of verdict.files)
    session.print(`${why === null ? "ok  " : "FAIL"}  ${file}  ${why ?? ""}`.trimEnd());
  const by = verdict.signedBy.length === 0 ? "not signed" : `signed by ${verdict.signedBy.join(", ")}`;
  if (verdict.distrust !== null) session.print(`FAIL  ${by}: ${verdict.distrust}`);
  else if (trusted.length > 0) session.print(`ok    ${by}, and trusted`);
  else session.print(`      ${by}; without --trusted, signatures are not checked`);
}
