import type { Logger } from "pino";
import type { BusConnection } from "../../bus/connection.ts";
import { KeyPublisher } from "../../bus/key-publisher.ts";
import { type Member, memberLeaseMs } from "../../protocol/member.ts";
import { buckets } from "../../protocol/subjects.ts";
import type { Mark } from "../drain/mark.ts";
import type { MemberPublisher } from "../slots/member-publisher.ts";

/** A member as a key of the serverset bucket. Its marks are the bucket's revisions, which edges acknowledge. */
export class BucketMemberPublisher implements MemberPublisher {
  private readonly publisher: KeyPublisher;

  constructor(bus: BusConnection, key: string, log: Logger) {
    this.publisher = new KeyPublisher(bus, buckets.serversets, key, log, { heartbeatMs: memberLeaseMs / 3 });
  }

  publish(member: Member | null): void {
    this.publisher.set(member && JSON.stringify(member));
  }

  async stored(signal: AbortSignal): Promise<Mark> {
    return (await this.publisher.stored(signal)) as Mark;
  }

  stop(): void {
    this.publisher.stop();
  }
}
