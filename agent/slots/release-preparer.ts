import { DiskFullError } from "../../protocol/errors.ts";
import type { Progress } from "../../protocol/host-status.ts";
import { isSameContent, type Release } from "../../protocol/release.ts";
import { type RunConfig, readReleaseConfig, withReleaseConfig } from "../config/release-config.ts";
import { DeltaFailed, type InstalledRelease } from "../releases/store/store.ts";
import type { SlotDependencies } from "./dependencies.ts";

/**
 * A slot's releases on the disk: made ready before they are needed, and deleted when neither this slot nor another
 * needs them.
 */
export class ReleasePreparer {
  /** The release that was made ready last. */
  private ready: InstalledRelease | null = null;

  constructor(
    private readonly deps: Pick<SlotDependencies, "config" | "releases" | "makeRoom" | "emit" | "log">,
    private readonly onProgress: (progress: Progress) => void,
  ) {}

  isReady(release: Release): boolean {
    return this.ready?.version === release.version && isSame(this.ready, release);
  }

  /** Makes a release ready. One that was made ready before and is not wanted any more goes. */
  async prepare(release: Release, resident: string | undefined, signal: AbortSignal, onUnpack: () => void) {
    // Also where its files are here already: keys may have changed since.
    this.deps.releases.requireTrusted(release);
    if (!this.isReady(release)) this.forget(resident);
    const installed = await this.obtain(release, signal, onUnpack);
    // What is wrong with how it wants to be run is found out before anything is taken away for it.
    await this.configure(installed);
    this.ready = installed;
  }

  /**
   * The configuration that a release is run under: the host's, and what the release says of itself. @throws
   * ReleaseConfigError
   */
  async configure({ version, tree }: Pick<InstalledRelease, "version" | "tree">): Promise<RunConfig> {
    return withReleaseConfig(this.deps.config, version, await readReleaseConfig(version, tree));
  }

  /** The same for workers that are already running: their release may set what is not allowed any more, or be gone. */
  async configureRunning(installed: InstalledRelease): Promise<RunConfig> {
    try {
      return await this.configure(installed);
    } catch (err) {
      const { config, log } = this.deps;
      log.warn({ err }, "release's own configuration can't be used; its workers keep running under the host's");
      const command = config.app.command ?? ["(left to the release: see [releases] may_set)"];
      return { ...config, app: { ...config.app, command } };
    }
  }

  /** The release, installed: the one that is there, or fetched and unpacked. */
  async obtain(release: Release, signal: AbortSignal, onUnpack = () => {}): Promise<InstalledRelease> {
    const { releases, emit, log } = this.deps;
    const { version, sha256 } = release;
    const there = await releases.find(version);
    if (there && isSame(there, release)) return there;
    let told = false;
    // A way may fail before its unpacking has begun, or in it: the slot's state changes once.
    const unpackOnce = () => {
      if (!told) onUnpack();
      told = true;
    };
    const bring = (way: "shortest" | "whole") => this.bring(release, signal, unpackOnce, way);
    const installed = await this.withRoom(() => bring("shortest")).catch((error) => {
      if (!(error instanceof DeltaFailed)) throw error;
      log.warn({ version, err: error.cause }, "delta could not be used; the whole archive is fetched");
      return this.withRoom(() => bring("whole"));
    });
    emit({ kind: "release", message: `release ${version} was installed`, version, facts: { sha256 } });
    return installed;
  }

  /** If the disk is full, removes unused releases and retries once. */
  private async withRoom<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DiskFullError) || !(await this.deps.makeRoom())) throw error;
      return work();
    }
  }

  private async bring(release: Release, signal: AbortSignal, onUnpack: () => void, way: "shortest" | "whole") {
    const { releases } = this.deps;
    const show = (step: string, unit: Progress["unit"]) => (how: { done: number; total: number }) =>
      this.onProgress({ step, version: release.version, unit, ...how });
    const fetched = await releases.fetch(release, { signal, onProgress: show("fetching", "bytes") }, way);
    onUnpack();
    return releases.unpack(fetched, { signal, onProgress: show("unpacking", "entries") });
  }

  /**
   * Forgets what was made ready, if the slot came to hold another version after all. Its files go with those that are
   * too many.
   */
  forget(resident: string | undefined): void {
    if (this.ready?.version !== resident) this.ready = null;
  }
}

function isSame({ sha256, treeDigest }: InstalledRelease, release: Release): boolean {
  return isSameContent({ sha256, tree: treeDigest }, release);
}
