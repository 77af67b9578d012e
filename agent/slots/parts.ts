import type { Logger } from "pino";
import type { Event } from "../../protocol/index.ts";
import type { Config } from "../config/schema.ts";
import type { SlotRecord } from "../journal/journal.ts";
import type { ReleaseStore } from "../releases/store.ts";
import type { Registrar } from "./registrar.ts";

/** Says that something happened, for people and audits. */
export type EmitEvent = (event: Pick<Event, "kind" | "message"> & Partial<Event>) => void;

/** What a slot is made with. */
export interface SlotParts {
  name: string;
  config: Config;
  record: SlotRecord;
  /** The journal could not be read, so that what it holds does not tell what runs. */
  journalLost: boolean;
  releases: ReleaseStore;
  registrar: Registrar;
  /** Marks the slot's processes. */
  token: string;
  logDirectory: string;
  /** Whether another slot of the host needs that version's files. */
  usedElsewhere(version: string): boolean;
  emit: EmitEvent;
  log: Logger;
}
