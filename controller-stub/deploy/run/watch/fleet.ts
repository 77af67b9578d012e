import type { BusSession } from "../../../../bus/session.ts";
import type { HostStatus } from "../../../../protocol/host-status.ts";
import { hostToken } from "../../../../protocol/names.ts";
import { followStatuses } from "../../../host-reports.ts";
import type { OnMalformed } from "../../../values/malformed.ts";
import { ChangeSignal } from "./change-signal.ts";

/** What each host of a service last reported. */
export class Fleet {
  /** Emits the status of each host that reports. */
  readonly changes = new ChangeSignal<HostStatus>();
  private readonly statusByKey = new Map<string, HostStatus>();
  private constructor() {}

  static async follow(
    bus: BusSession,
    service: string,
    onMalformed: OnMalformed,
  ): Promise<Fleet & { stop: () => void }> {
    const fleet = new Fleet();
    const onStatus = (status: HostStatus) => {
      fleet.statusByKey.set(hostToken(status.host), status);
      fleet.changes.emit(status);
    };
    const stop = await followStatuses(bus, service, onStatus, onMalformed);
    return Object.assign(fleet, { stop });
  }

  /** By name. */
  get statuses(): HostStatus[] {
    return [...this.statusByKey.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  statusOf(host: string): HostStatus | undefined {
    return this.statusByKey.get(hostToken(host));
  }
}
