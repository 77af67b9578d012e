import type { Progress, Release } from "../../protocol/index.ts";
import type { InstalledRelease } from "../releases/store.ts";
import type { SlotParts } from "./parts.ts";

/** A slot's releases on the disk: made ready before they are needed, and deleted when neither this slot nor another needs them. */
export class ReleaseSupply {
  /** The release that was made ready last. */
  private ready: InstalledRelease | null = null;

  constructor(
    private readonly parts: Pick<SlotParts, "releases" | "usedElsewhere" | "emit">,
    private readonly onProgress: (progress: Progress) => void,
  ) {}

  isReady(release: Release): boolean {
    return this.ready?.version === release.version && this.ready.sha256 === release.sha256;
  }

  /** Makes a release ready. One that was made ready before and is not wanted any more goes. */
  async prepare(release: Release, resident: string | undefined, signal: AbortSignal, onUnpack: () => void) {
    if (!this.isReady(release)) await this.discard(resident);
    this.ready = await this.obtain(release, signal, onUnpack);
  }

  /** The release, installed: the one that is there, or fetched and unpacked. */
  async obtain(release: Release, signal: AbortSignal, onUnpack = () => {}): Promise<InstalledRelease> {
    const { releases, emit } = this.parts;
    const { version, sha256 } = release;
    const there = await releases.find(version);
    if (there?.sha256 === sha256) return there;
    const show = (step: string, unit: Progress["unit"]) => (how: { done: number; total: number }) =>
      this.onProgress({ step, version, unit, ...how });
    const fetched = await releases.fetch(release, { signal, onProgress: show("fetching", "bytes") });
    onUnpack();
    const installed = await releases.unpack(fetched, { signal, onProgress: show("unpacking", "entries") });
    emit({ kind: "release", message: `release ${version} was installed`, version, facts: { sha256 } });
    return installed;
  }

  /** Deletes what was made ready, if the slot came to hold another version after all. */
  async discard(resident: string | undefined): Promise<void> {
    const version = this.ready?.version;
    this.ready = null;
    if (version !== undefined && version !== resident) await this.remove(version);
  }

  /** Deletes a version's files, unless another slot needs them. */
  async remove(version: string): Promise<void> {
    const { releases, usedElsewhere, emit } = this.parts;
    if (usedElsewhere(version)) return;
    await releases.remove(version);
    emit({ kind: "release", message: `release ${version} was removed`, version });
  }
}
