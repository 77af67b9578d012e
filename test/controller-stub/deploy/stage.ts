import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBucket } from "../../../bus/buckets.ts";
import type { BusSession } from "../../../bus/session.ts";
import { publishRelease } from "../../../controller-stub/publish/releases.ts";
import { type Deploy, deploySchema } from "../../../protocol/deploy.ts";
import type { Event } from "../../../protocol/event.ts";
import { eventSchema } from "../../../protocol/event.ts";
import { type Routes, routesSchema } from "../../../protocol/routes.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";
import { type NatsServer, startNats } from "../../support/nats/server.ts";
import { PretendFleet, type PretendOptions } from "../../support/pretend/fleet.ts";
import { until } from "../../support/until.ts";
import { type Ended, endAll, type Running, start } from "../cli.ts";
import { connectTo } from "../fake-host.ts";

export const VERSIONS = ["A", "B", "C", "D"];

/** Long enough for a busy machine, and no wait for ever. */
const WAVE_MS = "60000";

type Fleet = Omit<PretendOptions, "servers" | "service">;

/** A real bus, a service of its own name with four published versions, and hosts and edges that pretend. */
export class Stage {
  readonly fleets: PretendFleet[] = [];
  fleet!: PretendFleet;

  private constructor(
    readonly service: string,
    readonly url: string,
    readonly bus: BusSession,
  ) {}

  static async set(url: string, bus: BusSession, service: string, fleet: Fleet = {} as Fleet): Promise<Stage> {
    const stage = new Stage(service, url, bus);
    await publishAll(bus, service);
    stage.fleet = await stage.start(fleet);
    return stage;
  }

  async start(fleet: Partial<Fleet>): Promise<PretendFleet> {
    const options = { hosts: ["h1", "h2", "h3"], edges: ["e1", "e2"], ...fleet };
    const started = await PretendFleet.start({ servers: this.url.split(","), service: this.service, ...options });
    this.fleets.push(started);
    return started;
  }

  /** A previous, B current. */
  async twoVersions(): Promise<void> {
    for (const version of ["A", "B"]) {
      const { code, stderr } = await this.run("deploy", version, "--wave", "100%");
      if (code !== 0) throw new Error(stderr);
    }
  }

  /** Runs a verb for this service, with a bound for its waves that later arguments may change. */
  run(verb: string, ...args: string[]): Promise<Ended> {
    return this.launch(verb, ...args).ended;
  }

  launch(verb: string, ...args: string[]): Running {
    return start(this.url, [verb, this.service, "--timeout", WAVE_MS, ...args, "--json"]);
  }

  async routes(): Promise<Routes | null> {
    const entry = await (await openBucket(this.bus, buckets.routes)).get(keys.routes(this.service));
    return entry?.operation === "PUT" ? routesSchema.parse(entry.json()) : null;
  }

  /** Default first. */
  async served(): Promise<[string, string[]] | null> {
    const routes = await this.routes();
    return routes && [routes.default, routes.serving];
  }

  async record(): Promise<Deploy> {
    const entry = await (await openBucket(this.bus, buckets.deploys)).get(keys.deploy(this.service));
    if (entry === null) throw new Error("there is no record");
    return deploySchema.parse(entry.json());
  }

  async step(): Promise<string | undefined> {
    return (await this.record()).deploy?.step;
  }

  untilStep(step: string): Promise<unknown> {
    return until(`step ${step}`, async () => (await this.step()) === step, { everyMs: 5 });
  }

  /** What the slots of each host hold. */
  versions(): Record<string, (string | null)[]> {
    return Object.fromEntries([...this.fleet.hosts].map(([name, host]) => [name, host.versions]));
  }

  /** What was said of this service's deploys. */
  async events(): Promise<Event[]> {
    const found: Event[] = [];
    const { state } = await this.bus.jsm.streams.info("slotd-events");
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
      const message = await this.bus.jsm.streams.getMessage("slotd-events", { seq });
      if (message) found.push(eventSchema.parse(message.json()));
    }
    return found.filter((event) => event.service === this.service);
  }

  async clear(): Promise<void> {
    await Promise.all(this.fleets.map((fleet) => fleet.stop()));
  }
}

/** What the tests of a file share: one bus, and stages that are cleared after each test. */
export class Theatre {
  nats!: NatsServer;
  bus!: BusSession;
  readonly stages: Stage[] = [];
  private services = 0;

  async open(): Promise<void> {
    this.nats = await startNats();
    this.bus = await connectTo(this.nats.url);
  }

  async stage(fleet: Partial<Fleet> = {}): Promise<Stage> {
    this.services++;
    const stage = await Stage.set(this.nats.url, this.bus, `web${this.services}`, fleet as Fleet);
    this.stages.push(stage);
    return stage;
  }

  /** After each test. */
  async clear(): Promise<void> {
    await endAll();
    await Promise.all(this.stages.splice(0).map((stage) => stage.clear()));
  }

  async close(): Promise<void> {
    await this.bus?.close();
    await this.nats?.stop();
  }
}

async function publishAll(bus: BusSession, service: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "slotd-deploy-"));
  try {
    for (const version of VERSIONS) {
      const file = join(directory, `${version}.tar.gz`);
      await writeFile(file, randomBytes(64));
      await publishRelease(bus, { service, version, file });
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What every host holds. */
export function everywhere(stage: Stage, ...versions: (string | null)[]): Record<string, (string | null)[]> {
  return Object.fromEntries([...stage.fleet.hosts.keys()].map((name) => [name, versions]));
}
