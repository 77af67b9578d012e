import type { Deploy, RunningDeploy } from "../../../protocol/deploy.ts";
import { InternalError } from "../../../protocol/errors.ts";
import type { Bus } from "../../bus.ts";
import type { DeployLock } from "./records/deploy-lock.ts";
import type { OrderLedger } from "./records/order-ledger.ts";
import type { DeployReport } from "../show/deploy-report.ts";
import type { Fleet, KnownEdges } from "./watch/known-edges.ts";

/** How long things are waited for, in milliseconds. */
export interface Bounds {
  /** Edges, and members in the serverset. */
  barrierMs: number;
  /** The hosts of a wave. */
  waveMs: number;
}

/** What a run that changes a service has at hand. */
export interface DeployContext {
  /** Its signal ends the run: an interruption, or the loss of the lock. */
  bus: Bus;
  service: string;
  by: string;
  lock: DeployLock;
  fleet: Fleet;
  edges: KnownEdges;
  orders: OrderLedger;
  report: DeployReport;
  bounds: Bounds;
}

/** The deploy that the run works on. */
export function deployOf({ lock, service }: DeployContext): RunningDeploy {
  const { deploy } = lock.deploy;
  if (deploy === null) throw new InternalError(`there is no deploy of ${service}`);
  return deploy;
}

/** A change of the deploy, as a change of the record. */
export function inDeploy(change: (deploy: RunningDeploy) => RunningDeploy): (record: Deploy) => Deploy {
  return (record) => (record.deploy === null ? record : { ...record, deploy: change(record.deploy) });
}
