import { type Member, toMember } from "../../protocol/member.ts";
import type { SlotState } from "../../protocol/states.ts";
import type { Config } from "../config/schema.ts";
import type { Mark } from "../drain/mark.ts";
import type { Resident } from "../journal/schema.ts";
import type { Pool } from "../workers/pool.ts";
import type { MemberPublisher } from "./member-publisher.ts";

/** A slot's member of the serverset. Its capacity follows the workers; with none it is withdrawn. */
export class SlotRegistration {
  constructor(
    private readonly slot: string,
    private readonly config: Config,
    private readonly publisher: MemberPublisher,
  ) {}

  /** Says what the slot serves now. */
  update(state: SlotState, resident: Resident | null, pool: Pool | null): void {
    // After a take-over the registration stands until the workers' health is known.
    if (state === "serving" && pool && !pool.health.known) return;
    this.publisher.publish(this.member(state, resident, pool));
  }

  /** Resolves when the registry has what was said last. */
  stored(signal: AbortSignal): Promise<Mark> {
    return this.publisher.stored(signal);
  }

  stop(): void {
    this.publisher.stop();
  }

  private member(state: SlotState, resident: Resident | null, pool: Pool | null): Member | null {
    if (!pool || !resident || pool.ready === 0) return null;
    if (state !== "serving" && state !== "draining") return null;
    const { service, stage, host, advertise } = this.config;
    const { version, sha256 } = resident.release;
    return toMember({
      service,
      stage,
      host,
      slot: this.slot,
      version,
      sha256,
      epoch: resident.epoch,
      address: { host: advertise, port: pool.spec.port },
      capacity: pool.ready,
      workers: pool.wanted,
      status: state === "draining" ? "STOPPING" : "ALIVE",
    });
  }
}
