import type { BusSession } from "../../../bus/session.ts";
import type { Deploy, RunningDeploy } from "../../../protocol/deploy.ts";
import { InternalError } from "../../../protocol/errors.ts";
import type { OrderAuthor } from "../decisions/draft-orders.ts";
import type { Knowledge } from "../decisions/resume-hosts.ts";
import type { DeployReport } from "../show/deploy-report.ts";
import type { DeployEvents } from "./records/deploy-events.ts";
import type { DeployLock } from "./records/deploy-lock.ts";
import type { OrderLedger } from "./records/order-ledger.ts";
import type { Fleet } from "./watch/fleet.ts";
import type { FollowedEdges } from "./watch/followed-edges.ts";

/** How long a run waits, in milliseconds. */
export interface RunBounds {
  /** For edges, and for members in the serverset. */
  barrierMs: number;
  /** For the hosts of a wave. */
  waveMs: number;
}

/** What a run that changes a service works with. */
export interface DeployContext {
  /** Its signal ends the run: an interruption, or the loss of the lock. */
  bus: BusSession;
  service: string;
  by: string;
  lock: DeployLock;
  fleet: Fleet;
  edges: FollowedEdges;
  orders: OrderLedger;
  report: DeployReport;
  events: DeployEvents;
  bounds: RunBounds;
}

/** The deploy that the run works on. @throws InternalError where there is none */
export function deployOf({ lock, service }: DeployContext): RunningDeploy {
  const { deploy } = lock.deploy;
  if (deploy === null) throw new InternalError(`there is no deploy of ${service}`);
  return deploy;
}

/** A change of the deploy, as a change of the record. */
export function inDeploy(change: (deploy: RunningDeploy) => RunningDeploy): (record: Deploy) => Deploy {
  return (record) => (record.deploy === null ? record : { ...record, deploy: change(record.deploy) });
}

export function endedNow() {
  return { endedAt: new Date().toISOString(), halted: null };
}

/** What the orders of this run say of it. */
export function authorOf({ lock, by }: DeployContext): OrderAuthor {
  return { epoch: lock.epoch, by, at: new Date().toISOString() };
}

/** What is known of the hosts now. */
export function knowledgeOf({ fleet, orders }: DeployContext): Knowledge {
  return {
    statusOf: (host) => fleet.statusOf(host),
    latestOrder: (host, slot) => orders.latestOrder(host, slot),
    now: Date.now(),
  };
}
