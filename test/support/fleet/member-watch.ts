import { type KvEntry, Kvm } from "@nats-io/kv";
import type { Member } from "../../../protocol/member.ts";
import { buckets } from "../../../protocol/subjects.ts";
import type { Host } from "../agent/host.ts";

/** What was said of a slot at one moment; null: it was taken out of the serverset. */
export interface Said {
  slot: string;
  member: Member | null;
}

/** Reads the serverset of a host as an edge would: by watching the bucket. Keeps all that was said. */
export class MemberWatch {
  readonly history: Said[] = [];
  readonly members = new Map<string, Member>();
  private onChange: () => void = () => {};
  private stopWatch: () => void = () => {};

  static async start(host: Host): Promise<MemberWatch> {
    const watch = new MemberWatch();
    const kv = await new Kvm(await host.bus()).open(buckets.serversets);
    const entries = await kv.watch({ key: `web.prod.${host.name}.*` });
    watch.stopWatch = () => entries.stop();
    void (async () => {
      for await (const entry of entries) watch.take(entry);
    })();
    return watch;
  }

  /** The slots whose members a reader would send traffic to, each with its version. */
  alive(): Map<string, Member> {
    return new Map([...this.members].filter(([, member]) => member.status === "ALIVE"));
  }

  of(slot: string): (Member | null)[] {
    return this.history.filter((said) => said.slot === slot).map(({ member }) => member);
  }

  changed(listener: () => void): void {
    this.onChange = listener;
  }

  stop(): void {
    this.stopWatch();
  }

  private take(entry: KvEntry): void {
    const slot = entry.key.split(".").at(-1) as string;
    const member = entry.operation === "PUT" ? entry.json<Member>() : null;
    this.history.push({ slot, member });
    if (member) this.members.set(slot, member);
    else this.members.delete(slot);
    this.onChange();
  }
}
