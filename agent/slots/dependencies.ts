import type { Logger } from "pino";
import type { Event } from "../../protocol/event.ts";
import type { Config } from "../config/schema.ts";
import type { AcknowledgingEdges } from "../drain/until-acked.ts";
import type { SlotRecord } from "../journal/journal.ts";
import type { AccountLookup } from "../os/account.ts";
import type { WorkerOutput } from "../output/worker-output.ts";
import type { ReleaseStore } from "../releases/store/store.ts";
import type { SlotCgroup } from "../workers/process/cgroups.ts";
import type { Secrets } from "../workers/process/secrets.ts";
import type { Traffic } from "./routed-by.ts";
import type { SlotRegistration } from "./slot-registration.ts";
import type { SlotAddress } from "./slot-socket.ts";

/** Says that something happened, for people and audits. */
export type EmitEvent = (event: Pick<Event, "kind" | "message"> & Partial<Event>) => void;

/** What a slot is made with. */
export interface SlotDependencies {
  name: string;
  config: Config;
  record: SlotRecord;
  /** The journal could not be read, so that what it holds does not tell what runs. */
  journalLost: boolean;
  releases: ReleaseStore;
  registration: SlotRegistration;
  edges: AcknowledgingEdges;
  /** Who routes to which version, as it is known now. */
  traffic(): Traffic;
  /** Marks the slot's processes. */
  token: string;
  output: WorkerOutput;
  /** Where systemd has delegated control groups to the agent. */
  cgroup: SlotCgroup | null;
  secrets: Secrets;
  account: AccountLookup;
  /** Keeps the slot's socket over the agent's end. */
  manager: SlotAddress["manager"];
  /**
   * After what a slot holds has changed: sets the links of roles, and removes the releases that are too many. Never
   * throws.
   */
  tidy(): Promise<void>;
  /** Removes every release that nobody needs. @returns whether there were any */
  makeRoom(): Promise<boolean>;
  emit: EmitEvent;
  log: Logger;
}
