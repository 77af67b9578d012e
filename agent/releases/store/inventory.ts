import { dirname, join } from "node:path";
import { ReleaseNotInstalledError } from "../../../protocol/errors.ts";
import type { ReleaseStatus, Verification } from "../../../protocol/release-status.ts";
import { manifestName } from "../manifest-file.ts";
import { audit } from "./audit.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import { readReleaseRecord } from "./record.ts";
import type { Roles } from "./role-links.ts";
import type { InstalledRelease, ReleaseStore } from "./store.ts";
import type { KeptRelease } from "./surplus.ts";

/** Who uses a version on this host. */
export interface Holders {
  /** The slots that hold it, or are about to. */
  slots(version: string): string[];
  roles(): Roles;
}

/** Requests that may wait for the one in progress, per kind. */
const MAX_WAITING = 16;

/** The releases on this host, as shown to people. */
export class Inventory {
  private readonly lists = new BoundedQueue("the list of releases", MAX_WAITING);
  private readonly verifications = new BoundedQueue("verification", MAX_WAITING);

  constructor(
    private readonly store: ReleaseStore,
    private readonly holders: Holders,
  ) {}

  /** All of them, the newest first. */
  list(signal: AbortSignal): Promise<ReleaseStatus[]> {
    return this.lists.run(signal, () => this.listNow(signal));
  }

  private async listNow(signal: AbortSignal): Promise<ReleaseStatus[]> {
    const roles = this.holders.roles();
    const found: ReleaseStatus[] = [];
    for (const { version, sha256, tree, treeDigest, installedAt, bytes } of await installedReleases(this.store)) {
      // A release that an earlier version of slotd installed has no manifest.
      const seen = treeDigest === null ? null : await this.look(tree, false, signal).catch(() => null);
      const role = roles.current === version ? "current" : roles.previous === version ? "previous" : null;
      const slots = this.holders.slots(version);
      const sharedBytes = seen?.sharedBytes ?? null;
      found.push({ version, sha256, tree: treeDigest, installedAt, bytes, sharedBytes, slots, role });
    }
    return found.sort((x, y) => y.installedAt.localeCompare(x.installedAt));
  }

  /** Reads and hashes all of a release's files again. @throws ReleaseNotInstalledError */
  async verify(version: string, signal: AbortSignal): Promise<Verification> {
    const release = await this.store.find(version);
    if (!release) throw new ReleaseNotInstalledError(version, "it is not installed");
    if (release.treeDigest === null)
      throw new ReleaseNotInstalledError(version, "it was installed by a version of slotd that kept no manifest");
    const { bytes, differences } = await this.verifications.run(signal, () => this.look(release.tree, true, signal));
    return { version, tree: release.treeDigest, bytes, good: differences.length === 0, differences };
  }

  private look(tree: string, contents: boolean, signal: AbortSignal) {
    return audit({ tree, manifest: join(dirname(tree), manifestName), contents }, signal);
  }
}

/** The installed releases, with their records. */
export async function installedReleases(
  store: Pick<ReleaseStore, "list">,
): Promise<(InstalledRelease & KeptRelease)[]> {
  const found = await Promise.all(
    (await store.list()).map(async (release) => {
      const record = await readReleaseRecord(dirname(release.tree));
      return record && { ...release, installedAt: record.installedAt, bytes: record.unpackedBytes };
    }),
  );
  return found.filter((release) => release !== null);
}
