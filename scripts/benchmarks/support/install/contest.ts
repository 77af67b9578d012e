import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { extract } from "tar";
import type { ReleaseStore } from "../../../../agent/releases/store/store.ts";
import type { ArchiveFormat } from "../../../../protocol/package.ts";
import type { Release } from "../../../../protocol/release.ts";
import {
  type Installed,
  installTimed,
  openStore,
  type Releases,
} from "../../../../test/support/crash-install/packages.ts";
import { start } from "../processes.ts";
import type { Run } from "../run.ts";
import { emptyDirectory, settle, warm } from "./tree.ts";

/** One way to bring a release's files onto the disk. */
interface Way {
  name: string;
  archive: string;
  /** What is timed. */
  install(): Promise<Installed | null>;
  /** What is not: all is as it was before. */
  undo(): Promise<void>;
}

/** Seconds by round, in the order of the rounds; of slotd's own, the steps of each. */
export interface Timed {
  seconds: number[];
  steps: Installed[];
}

/** Every way in turn, each round beginning with another one. */
export async function contest(run: Run, directory: string, base: Releases, next: Releases, rounds: number) {
  const ways = [
    ...(await waysOf(run, directory, "gz", base.gz, next.gz)),
    ...(await waysOf(run, directory, "zst", base.zst, next.zst)),
    tarPackage(directory, base.gz),
  ];
  const timed: Record<string, Timed> = Object.fromEntries(ways.map(({ name }) => [name, { seconds: [], steps: [] }]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < ways.length; turn++) {
      const { name, archive, install, undo } = ways[(round + turn) % ways.length] as Way;
      run.signal.throwIfAborted();
      warm(archive);
      settle();
      const began = performance.now();
      const steps = await install();
      timed[name]?.seconds.push((performance.now() - began) / 1000);
      if (steps) timed[name]?.steps.push(steps);
      await undo();
    }
    const last = Object.entries(timed).map(([name, { seconds }]) => `${name} ${seconds.at(-1)?.toFixed(2)} s`);
    run.say(`  ${round + 1}/${rounds}: ${last.join(", ")}`);
  }
  return timed;
}

async function waysOf(
  run: Run,
  directory: string,
  format: ArchiveFormat,
  base: Release,
  next: Release,
): Promise<Way[]> {
  const whole = await openStore(join(directory, `whole-${format}`));
  const delta = await openStore(join(directory, `delta-${format}`));
  // What the deltas are against.
  await installTimed(delta, base, run.signal);
  const archive = fileURLToPath(base.url);
  const shorter = fileURLToPath(next.deltas?.[0]?.url ?? next.url);
  const into = join(directory, "by-tar");
  const command = `sha256sum "$0" && tar ${format === "gz" ? "-xzf" : "--zstd -xf"} "$0"`;
  return [
    ofStore(run, `slotd_${format}`, whole, base, archive),
    ofStore(run, `slotd_delta_${format}`, delta, next, shorter),
    ofShell(run, `tar_${format}`, command, archive, into),
    ofShell(run, `tar_sync_${format}`, `${command} && sync -f .`, archive, into),
  ];
}

function ofStore(run: Run, name: string, store: ReleaseStore, release: Release, archive: string): Way {
  return {
    name,
    archive,
    install: () => installTimed(store, release, run.signal),
    undo: () => store.remove(release.version),
  };
}

function ofShell(run: Run, name: string, command: string, archive: string, into: string): Way {
  return {
    name,
    archive,
    async install() {
      // The directory is made before; a millisecond more or less.
      const cwd = emptyDirectory(into);
      const child = await start(run, "sh", ["-c", command, archive], { cwd, stdio: ["ignore", "ignore", "inherit"] });
      const [code] = await once(child, "close");
      run.signal.throwIfAborted();
      if (code !== 0) throw new Error(`${command} ended with ${code}`);
      return null;
    },
    undo: async () => rmSync(into, { recursive: true, force: true }),
  };
}

/** What a program in Node does at its simplest. */
function tarPackage(directory: string, { url }: Release): Way {
  const archive = fileURLToPath(url);
  const into = join(directory, "by-tar");
  return {
    name: "tar_package_gz",
    archive,
    async install() {
      await extract({ file: archive, cwd: emptyDirectory(into) });
      return null;
    },
    undo: async () => rmSync(into, { recursive: true, force: true }),
  };
}
