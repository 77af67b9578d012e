import type { BusConnection } from "../bus/connection.ts";
import { keys } from "../protocol/subjects.ts";
import { BucketMemberPublisher } from "./bus/bucket-member-publisher.ts";
import type { EdgeWatch } from "./bus/edge-watch.ts";
import type { RoutesWatch } from "./bus/routes-watch.ts";
import type { SlotDependencies } from "./slots/dependencies.ts";
import { Slot } from "./slots/slot.ts";
import { SlotRegistration } from "./slots/slot-registration.ts";
import type { State } from "./state.ts";
import type { HostCgroups } from "./workers/process/cgroups.ts";

/** What all slots of an agent have in common. */
export interface SharedBySlots
  extends Pick<SlotDependencies, "config" | "manager" | "output" | "secrets" | "account" | "log"> {
  state: State;
  cgroups: HostCgroups | null;
  bus: BusConnection;
  edges: EdgeWatch;
  routes: RoutesWatch;
  releases: { store: SlotDependencies["releases"] } & Pick<SlotDependencies, "tidy" | "makeRoom">;
}

/** Makes a slot and its registration. Neither is started. */
export function createSlot(
  name: string,
  shared: SharedBySlots,
  emit: SlotDependencies["emit"],
): { slot: Slot; registration: SlotRegistration } {
  const { config, manager, output, secrets, account, log, state, cgroups, bus, edges, routes, releases } = shared;
  const key = keys.member(config.service, config.stage, config.host, name);
  const registration = new SlotRegistration(name, config, new BucketMemberPublisher(bus, key, log));
  const slot = new Slot({
    name,
    config,
    registration,
    edges,
    traffic: () => ({ routes: routes.routes, edges: edges.live() ?? [] }),
    record: state.journal.slot(name),
    journalLost: state.journal.lost,
    releases: releases.store,
    manager,
    token: `${state.token}.${name}`,
    output,
    cgroup: cgroups?.slot(name, config.slots[name]?.cpu_weight ?? 100) ?? null,
    secrets,
    account,
    tidy: () => releases.tidy(),
    makeRoom: () => releases.makeRoom(),
    emit,
    log: log.child({ slot: name }),
  });
  return { slot, registration };
}
