import { randomUUID } from "node:crypto";
import type { Bucket } from "../../../../bus/buckets.ts";
import { openBucket } from "../../../../bus/buckets.ts";
import { isConflict } from "../../../../bus/retry.ts";
import type { BusSession } from "../../../../bus/session.ts";
import type { Deploy } from "../../../../protocol/deploy.ts";
import { buckets, keys } from "../../../../protocol/subjects.ts";
import { type EpochFacts, highestEpoch, writeDeploy } from "../../../orders/epochs.ts";
import { boundedRecord } from "../../decisions/bounded-record.ts";
import { HeldByError, LockLostError } from "../../deploy-errors.ts";
import { fetchRecord } from "./deploy-record.ts";

/** Changes are gathered for this long, so that a wave of a hundred hosts is not a hundred writes. */
const GATHER_MS = 500;

export interface LockOptions {
  holder: string;
  leaseMs: number;
  /** How long a run waits for an unreachable bus. The lock may be gone by then; a compare-and-set tells. */
  patienceMs: number;
  /** The new epoch is higher than these, and than any in the record. */
  epochs: EpochFacts;
}

/**
 * The right to change a service: a record in the bucket, changed only by compare-and-set. It is renewed three times per
 * lease, so that others see that its holder is alive. `lost` is aborted as soon as a write shows that another run has
 * the lock.
 */
export class DeployLock {
  private readonly lostController = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private gathering: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private released = false;

  private constructor(
    private readonly bus: BusSession,
    private readonly kv: Bucket,
    private readonly leaseMs: number,
    private readonly token: string,
    readonly epoch: number,
    private record: Deploy,
    private revision: number,
  ) {
    this.renewLater();
  }

  /**
   * Takes the lock, with a new epoch.
   * @param abandoned a lock that was not renewed during its lease, and may be taken over
   * @throws HeldByError where another run has it
   */
  static async acquire(
    bus: BusSession,
    service: string,
    { holder, leaseMs, patienceMs, epochs }: LockOptions,
    abandoned: Deploy["lock"] = null,
  ): Promise<DeployLock> {
    // An interruption must not keep the lock from being released, so its requests ignore the run's signal.
    const own = bus.under(new AbortController().signal, patienceMs);
    const kv = await openBucket(own, buckets.deploys);
    const token = randomUUID();
    for (;;) {
      bus.signal.throwIfAborted();
      const { deploy, entry } = await fetchRecord(own, service);
      const { lock } = deploy;
      if (lock?.token === token && entry)
        return new DeployLock(own, kv, leaseMs, token, lock.epoch, deploy, entry.revision);
      if (lock !== null && (lock.token !== abandoned?.token || lock.renewals !== abandoned.renewals))
        throw new HeldByError(service, lock, { renewed: lock.token === abandoned?.token });
      const epoch = highestEpoch(epochs, deploy.epoch).epoch + 1;
      const since = new Date().toISOString();
      const next = { ...deploy, epoch, lock: { holder, token, epoch, since, leaseMs, renewals: 0 } };
      try {
        const revision = await own.persist(() => writeDeploy(kv, keys.deploy(service), next, entry));
        return new DeployLock(own, kv, leaseMs, token, epoch, next, revision);
      } catch (error) {
        // Another run came first, or the answer was lost: the next round tells.
        if (!isConflict(error)) throw error;
      }
    }
  }

  /** The record as this run wants it. It is in the bucket within half a second. */
  get deploy(): Deploy {
    return this.record;
  }

  get lost(): AbortSignal {
    return this.lostController.signal;
  }

  /** Changes the record, and writes it soon. */
  note(change: (record: Deploy) => Deploy): void {
    this.record = change(this.record);
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      this.writeInBackground();
    }, GATHER_MS);
  }

  /** Changes the record; it is in the bucket when this returns. @throws LockLostError */
  async write(change: (record: Deploy) => Deploy = (record) => record): Promise<void> {
    this.record = change(this.record);
    await this.enqueue();
  }

  /** Releases the lock, with a last change. @throws LockLostError */
  async release(change: (record: Deploy) => Deploy = (record) => record): Promise<void> {
    this.stop();
    this.released = true;
    await this.write(change);
  }

  /** Stops renewing, and leaves the lock as it is. */
  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.gathering);
    this.gathering = undefined;
  }

  private enqueue(): Promise<void> {
    clearTimeout(this.gathering);
    this.gathering = undefined;
    const writing = this.writing.then(() => this.put());
    this.writing = writing.catch(() => {});
    return writing;
  }

  private writeInBackground(): void {
    this.enqueue().catch((error) => {
      this.stop();
      this.lostController.abort(error);
    });
  }

  private renewLater(): void {
    this.timer = setTimeout(() => {
      this.writeInBackground();
      this.renewLater();
    }, this.leaseMs / 3);
  }

  private async put(): Promise<void> {
    this.lostController.signal.throwIfAborted();
    const { service } = this.record;
    for (;;) {
      const held = this.record.lock;
      const lock = this.released || held === null ? null : { ...held, renewals: held.renewals + 1 };
      // The record may change while it is written, so it takes over the new count of renewals first.
      this.record = { ...this.record, lock: lock ?? held };
      const next = boundedRecord({ ...this.record, lock }, this.bus.nc.info?.max_payload);
      try {
        const value = JSON.stringify(next);
        this.revision = await this.bus.persist(() => this.kv.update(keys.deploy(service), value, this.revision));
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      const { deploy, entry } = await fetchRecord(this.bus, service);
      // Our release, whose answer was lost.
      if (this.released && deploy.lock === null && entry?.string() === JSON.stringify(next)) return;
      if (deploy.lock?.token !== this.token || !entry) {
        const lost = new LockLostError(service, deploy.lock);
        this.stop();
        this.lostController.abort(lost);
        throw lost;
      }
      // `install` took an epoch, or the answer to our own write was lost.
      this.record = { ...this.record, epoch: Math.max(this.record.epoch, deploy.epoch) };
      this.revision = entry.revision;
    }
  }
}
