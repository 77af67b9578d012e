import { Command } from "commander";
import { packageSuffix } from "../../../protocol/package.ts";
import type { Difference } from "../../../protocol/release-status.ts";
import { SlotctlUsageError } from "../errors.ts";
import { slotctlExitCodes } from "../exit-codes.ts";
import { readPublicKeys } from "../key-option.ts";
import { repeatedOption } from "../option-values.ts";
import { bytes } from "../render/amounts.ts";
import type { SlotctlSession } from "../session.ts";

/** A large release on a busy disk. */
const VERIFY_TIMEOUT_MS = 30 * 60_000;

const WORDS: Record<Difference["what"], string> = {
  missing: "is missing",
  extra: "does not belong there",
  type: "is of another kind",
  mode: "has another mode",
  content: "has another content",
};

const help = `
A version: reads and hashes all of its files on this host again, and names what differs from what was installed.
A file: looks at every file beside a packed release's description: size, SHA-256, and whether the manifest is of the tree. With --trusted, one
of those keys must have signed it. Ends with 1 when something is not as it should be.

Examples:
  slotctl verify 1.4.2
  slotctl verify dist/web-1.4.2.release.json --trusted release.key.pub`;

export function verifyCommand(session: SlotctlSession): Command {
  return new Command("verify")
    .description("checks that an installed or a packed release is whole, and by whom it is signed")
    .argument("<what>", "NAME-V.release.json, or a version that is installed on this host")
    .option("--trusted <key>", "a public key, ed25519:… or a file with it; repeatable", repeatedOption)
    .addHelpText("after", help)
    .action(async (what: string, { trusted = [] }: { trusted?: string[] }) => {
      if (what.endsWith(packageSuffix)) return verifyFile(session, what, trusted);
      if (trusted.length > 0)
        throw new SlotctlUsageError("--trusted is about packed releases: name a NAME-V.release.json");
      await verifyInstalled(session, what);
    });
}

async function verifyInstalled(session: SlotctlSession, version: string): Promise<void> {
  const { good, differences, bytes: size, tree } = await session.client(VERIFY_TIMEOUT_MS).verify(version);
  if (!good) session.exitCode = slotctlExitCodes.failed;
  if (session.json) return session.printJson({ version, good, tree, bytes: size, differences });
  for (const { path, what } of differences) session.print(`FAIL  ${path}  ${WORDS[what]}`);
  if (good) session.print(`ok    ${version}  ${bytes(size)}, tree ${tree}`);
}

async function verifyFile(session: SlotctlSession, path: string, trusted: string[]): Promise<void> {
  const { verifyPackage } = await import("../../pack/verify.ts");
  const verdict = await verifyPackage(path, await readPublicKeys("--trusted", trusted));
  if (!verdict.ok) session.exitCode = slotctlExitCodes.failed;
  if (session.json) return session.printJson(verdict);
  for (const { file, why } of verdict.files)
    session.print(`${why === null ? "ok  " : "FAIL"}  ${file}  ${why ?? ""}`.trimEnd());
  const by = verdict.signedBy.length === 0 ? "not signed" : `signed by ${verdict.signedBy.join(", ")}`;
  if (verdict.distrust !== null) session.print(`FAIL  ${by}: ${verdict.distrust}`);
  else if (trusted.length > 0) session.print(`ok    ${by}, and trusted`);
  else session.print(`      ${by}; without --trusted, signatures are not checked`);
}
