import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "./config/schema.ts";
import type { ReleaseBounds } from "./releases/bounds.ts";
import type { ObjectSource } from "./releases/fetch/opened.ts";
import { CleanUp } from "./releases/store/clean-up.ts";
import { Inventory, installedReleases } from "./releases/store/inventory.ts";
import { type Roles, rolesOf, setRoleLinks } from "./releases/store/role-links.ts";
import { ReleaseStore } from "./releases/store/store.ts";
import type { KeepPolicy } from "./releases/store/surplus.ts";
import type { Slot } from "./slots/slot.ts";

/** The releases on this host, and which of them the slots need. */
export class HostReleases {
  readonly store: ReleaseStore;
  readonly inventory: Inventory;
  private readonly cleanUp: CleanUp;

  constructor(
    private readonly config: Config,
    objects: ObjectSource,
    private readonly slots: () => readonly Slot[],
    onRemoved: (version: string) => void,
    private readonly log: Logger,
  ) {
    const { state_directory, releases } = config;
    this.store = new ReleaseStore(join(state_directory, "releases"), releaseBounds(releases), objects);
    const { store } = this;
    this.cleanUp = new CleanUp(
      { dir: store.dir, list: () => installedReleases(store), remove: (version) => store.remove(version) },
      keepPolicy(releases),
      (version) => this.holders(version).length > 0,
      onRemoved,
    );
    this.inventory = new Inventory(store, {
      slots: (version) => this.holders(version).map(({ name }) => name),
      roles: () => this.roles(),
    });
  }

  /**
   * Removes what an earlier agent left unfinished and, unless the journal is lost, what no slot needs. @returns their
   * names
   */
  async sweep(journalLost: boolean): Promise<string[]> {
    const swept = await this.store.prepare();
    return journalLost ? swept : [...swept, ...(await this.cleanUp.run())];
  }

  /** After a change of what slots hold: sets the links of roles, and removes surplus releases. Never throws. */
  async tidy(): Promise<void> {
    try {
      await setRoleLinks(this.config.state_directory, this.roles());
      await this.cleanUp.run();
    } catch (err) {
      this.log.warn({ err }, "releases could not be tidied up; retrying after the next change");
    }
  }

  /** Removes every release that nobody needs. @returns whether there were any */
  async makeRoom(): Promise<boolean> {
    return (await this.cleanUp.makeRoom()).length > 0;
  }

  private holders(version: string): Slot[] {
    return this.slots().filter((slot) => slot.uses(version));
  }

  /** The version that is current on this host, and the previous one. */
  private roles(): Roles {
    const residents = this.slots().flatMap(({ runtime: { resident } }) => resident ?? []);
    return rolesOf(residents.map(({ release: { version }, epoch, role }) => ({ version, epoch, role })));
  }
}

export function releaseBounds(releases: Config["releases"]): ReleaseBounds {
  return {
    maxArchiveBytes: releases.max_archive_bytes,
    maxUnpackedBytes: releases.max_unpacked_bytes,
    maxEntries: releases.max_entries,
    stallTimeoutMs: releases.stall_timeout_ms,
    fetchAttempts: releases.fetch_attempts,
    fetchBytesPerS: releases.fetch_bytes_per_s ?? null,
    fetchHeadersFile: releases.fetch_headers_file ?? null,
    trustedKeys: releases.trusted_keys,
  };
}

export function keepPolicy({ keep, keep_max_bytes, keep_max_disk_percent }: Config["releases"]): KeepPolicy {
  return { keep, maxBytes: keep_max_bytes ?? null, maxDiskPercent: keep_max_disk_percent };
}
