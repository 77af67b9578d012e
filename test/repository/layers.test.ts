import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { importsOf, type Source, sources } from "./sources.ts";

/**
 * Each part's rooms, from the top to the bottom: a room imports from itself and from those below it. A room is a folder
 * with what is in it, or a single file; the most specific one counts. Types are imports, too.
 */
const LAYERS: Record<string, string[]> = {
  agent: [
    "agent/main.ts",
    "agent/cli/main.ts",
    "agent/cli/run.ts",
    "agent/cli/commands",
    "agent/cli/doctor",
    "agent/cli/follow",
    "agent/cli/render",
    "agent/cli/doctor/check.ts",
    "agent/cli",
    "agent/agent.ts",
    "agent/control",
    "agent/host-releases.ts",
    "agent",
    "agent/bus",
    "agent/slots",
    "agent/workers",
    "agent/workers/end",
    "agent/workers/process",
    "agent/workers/watch",
    "agent/drain",
    "agent/output",
    "agent/journal",
    "agent/pack",
    "agent/releases/store",
    "agent/releases/unpack",
    "agent/releases/fetch",
    "agent/releases",
    "agent/config",
    "agent/os",
  ],
  "controller-stub": [
    "controller-stub/main.ts",
    "controller-stub/commands",
    "controller-stub/repair",
    "controller-stub/deploy/run/verbs",
    "controller-stub/deploy/run/steps",
    "controller-stub/deploy/run/rollout",
    "controller-stub/deploy/run",
    "controller-stub/deploy/show",
    "controller-stub/deploy/run/records",
    "controller-stub/deploy/run/watch",
    "controller-stub/deploy/decisions",
    "controller-stub/deploy",
    "controller-stub/orders",
    "controller-stub/publish",
    "controller-stub/publish/targets",
    "controller-stub/program.ts",
    "controller-stub/context.ts",
    "controller-stub/terminal",
    "controller-stub/host-reports.ts",
    "controller-stub/values",
    "controller-stub",
  ],
  edge: [
    "edge/main.ts",
    "edge",
    "edge/report",
    "edge/bus",
    "edge/config",
    "edge/proxies/render-base.ts",
    "edge/proxies/kinds.ts",
    "edge/proxies/builtin",
    "edge/proxies/haproxy",
    "edge/proxies/varnish",
    "edge/proxies",
    "edge/table",
    "edge/routes",
    "edge/members",
    "edge/state",
  ],
  bus: ["bus"],
  daemon: ["daemon"],
  protocol: ["protocol"],
};

const PARTS = Object.keys(LAYERS);

function targetsOf({ path, text }: Source): string[] {
  return importsOf(text)
    .filter((name) => name.startsWith("."))
    .map((name) => normalize(join(dirname(path), name)));
}

/** The index of a file's room. */
function layerOf(path: string, layers: readonly string[]): number {
  const rooms = layers.filter((room) => room === path || path.startsWith(`${room}/`));
  const [room] = rooms.sort((x, y) => y.length - x.length);
  assert(room !== undefined, `${path} is in no room of the table`);
  return layers.indexOf(room);
}

/** Groups of files that import each other, directly or through others: Tarjan's strongly connected components. */
function cyclesIn(imports: ReadonlyMap<string, string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string) => {
    index.set(file, index.size);
    low.set(file, index.get(file) as number);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file) as number, low.get(next) as number));
    }
    if (low.get(file) !== index.get(file)) return;
    const cycle = stack.splice(stack.indexOf(file));
    if (cycle.length > 1) cycles.push(cycle);
  };
  for (const file of imports.keys()) if (!index.has(file)) visit(file);
  return cycles;
}

describe("the layers of the house", () => {
  const files = sources(...PARTS);

  it("have no import cycle", () => {
    assert.deepEqual(cyclesIn(new Map(files.map((file) => [file.path, targetsOf(file)]))), []);
  });

  for (const [part, layers] of Object.entries(LAYERS)) {
    it(`have no upward import in ${part}`, () => {
      const upward = files
        .filter(({ path }) => path.startsWith(`${part}/`))
        .flatMap((file) =>
          targetsOf(file)
            .filter((target) => target.startsWith(`${part}/`))
            .filter((target) => layerOf(target, layers) < layerOf(file.path, layers))
            .map((target) => `${file.path} imports ${target}`),
        );
      assert.deepEqual(upward, []);
    });
  }
});
