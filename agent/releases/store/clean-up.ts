import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { directoriesInUse } from "../../os/users-of.ts";
import type { InstalledRelease } from "./store.ts";
import { type Fullness, type KeepPolicy, type KeptRelease, surplus } from "./surplus.ts";

/** What a clean-up needs of the store. */
export interface Cleanable {
  readonly dir: string;
  list(): Promise<(InstalledRelease & KeptRelease)[]>;
  remove(version: string): Promise<void>;
}

/**
 * Removes the releases that are neither in use nor to be kept. Runs one at a time: two slots may finish together.
 */
export class CleanUp {
  private running: Promise<unknown> = Promise.resolve();

  /**
   * @param needed whether a slot holds a version, or is about to
   * @param onRemoved called with each removed version
   */
  constructor(
    private readonly store: Cleanable,
    private readonly policy: KeepPolicy,
    private readonly needed: (version: string) => boolean,
    private readonly onRemoved: (version: string) => void,
  ) {}

  /** Removes surplus releases. @returns the versions removed. */
  run(): Promise<string[]> {
    return this.inTurn(() => this.removeSurplus(this.policy));
  }

  /**
   * Removes every release that is not in use, to make room for an install. @returns the versions removed.
   */
  makeRoom(): Promise<string[]> {
    return this.inTurn(() => this.removeSurplus({ ...this.policy, keep: 0 }));
  }

  private async removeSurplus(policy: KeepPolicy): Promise<string[]> {
    const removed: string[] = [];
    for (;;) {
      const releases = await this.store.list();
      const next = surplus(releases, this.inUse(releases), policy, await fullness(this.store.dir));
      if (next === null) break;
      // An order may have arrived since it was chosen.
      if (this.needed(next)) continue;
      await this.store.remove(next);
      removed.push(next);
      this.onRemoved(next);
    }
    return removed;
  }

  private inUse(releases: readonly InstalledRelease[]): Set<string> {
    const idle = releases.filter(({ version }) => !this.needed(version));
    const used = directoriesInUse(idle.map(({ tree }) => dirname(tree)));
    const standing = releases.filter(({ version, tree }) => this.needed(version) || used.has(dirname(tree)));
    return new Set(standing.map(({ version }) => version));
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.running.then(work);
    this.running = turn.catch(() => {});
    return turn;
  }
}

async function fullness(directory: string): Promise<Fullness> {
  const { blocks, bavail, files, ffree } = await statfs(directory);
  const percent = (free: number, all: number) => (all > 0 ? 100 * (1 - free / all) : 0);
  return { bytesPercent: percent(bavail, blocks), inodesPercent: percent(ffree, files) };
}
