import { seededRandom } from "../../../../test/support/random.ts";

/** A process of the fleet, by what it is and, where there are several of its kind, whose it is. */
export const faultKinds = ["agent", "edge", "proxy", "nats", "controller"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One kill -9, and how long the process stays away. Times are ms after the start of the chaos. */
export interface Fault {
  kind: FaultKind;
  /** The host of an agent; else the kind itself. */
  victim: string;
  atMs: number;
  downMs: number;
}

export interface Chaos {
  seed: number;
  ms: number;
  hosts: readonly string[];
  /** The kinds that there are; all of them by default. An edge without a proxy is its own. */
  kinds?: readonly FaultKind[];
}

type Range = readonly [fromMs: number, toMs: number];

interface Habit {
  /** Between a start and the next kill. */
  up: Range;
  /** As long as systemd takes to start it again. */
  down: Range;
  /** So long that leases lapse (15 s), once in so many kills. */
  long?: { down: Range; every: number };
}

const HABITS: Record<FaultKind, Habit> = {
  agent: { up: [10_000, 40_000], down: [300, 3_000], long: { down: [20_000, 30_000], every: 2 } },
  edge: { up: [10_000, 40_000], down: [300, 3_000], long: { down: [16_000, 22_000], every: 4 } },
  // Without it nobody is served, so it is back at once.
  proxy: { up: [8_000, 30_000], down: [0, 200] },
  nats: { up: [12_000, 45_000], down: [300, 3_000], long: { down: [16_000, 20_000], every: 2 } },
  // It is run for as long as a deploy takes, and has to get somewhere between two kills.
  controller: { up: [8_000, 35_000], down: [300, 3_000] },
};

/**
 * What is killed when: always the same for a seed. Each process has its own draws, so that faults overlap as they would
 * in a machine room. All processes are back by the end.
 */
export function planFaults({ seed, ms, hosts, kinds = faultKinds }: Chaos): Fault[] {
  const victims = kinds.flatMap((kind) => (kind === "agent" ? hosts : [kind]).map((victim) => ({ kind, victim })));
  const lanes = victims.map(({ kind, victim }, lane) => {
    const random = seededRandom(seed * 31 + lane * 7_919);
    const habit = HABITS[kind === "edge" && !kinds.includes("proxy") ? "proxy" : kind];
    return lifeOf(habit, ms, random).map((times) => ({ kind, victim, ...times }));
  });
  return lanes.flat().sort((one, other) => one.atMs - other.atMs);
}

function lifeOf({ up, down, long }: Habit, ms: number, random: () => number): { atMs: number; downMs: number }[] {
  const within = ([fromMs, toMs]: Range) => Math.round(fromMs + random() * (toMs - fromMs));
  const turn = Math.floor(random() * (long?.every ?? 1));
  const faults: { atMs: number; downMs: number }[] = [];
  // The first kill comes soon, so that a short run has one of every kind.
  for (let atMs = Math.round(within(up) / 2); atMs < ms; ) {
    const isLong = long !== undefined && faults.length % long.every === turn;
    const downMs = Math.min(within(isLong ? long.down : down), ms - atMs);
    faults.push({ atMs, downMs });
    atMs += downMs + within(up);
  }
  return faults;
}
