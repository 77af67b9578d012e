import { type Registration, toMember } from "../../protocol/index.ts";
import type { KeyPublisher } from "../bus/key-publisher.ts";

/** A slot's member of the serverset. Its capacity follows the workers; with none it is withdrawn. */
export class Registrar {
  constructor(private readonly publisher: KeyPublisher) {}

  /** Registers, or changes what is registered. Null withdraws. */
  set(registration: Registration | null): void {
    this.publisher.set(registration && registration.capacity > 0 ? JSON.stringify(toMember(registration)) : null);
  }

  /** Resolves with the revision when the bus has what was set last. */
  stored(signal: AbortSignal): Promise<number> {
    return this.publisher.stored(signal);
  }

  stop(): void {
    this.publisher.stop();
  }
}
