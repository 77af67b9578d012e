import type { Member } from "../../protocol/member.ts";
import type { Mark } from "../drain/mark.ts";

/** Keeps a slot's member of the serverset in a registry. */
export interface MemberPublisher {
  /**
   * Sets the member, or with null that there is none. Writing it goes on in the background, until the registry has it.
   */
  publish(member: Member | null): void;
  /** Resolves when the registry has what was published last: whoever has applied the mark knows of it. */
  stored(signal: AbortSignal): Promise<Mark>;
  stop(): void;
}
