import fc from "fast-check";
import type { InstallOrder, Order, UninstallOrder } from "../../protocol/order.ts";
import type { Release } from "../../protocol/release.ts";

/** Values that fast-check makes of what crosses the wire. */
export const versions = fc.constantFrom("1.0.0", "1.0.1", "2.0.0+build.7", "a_b-c");

export const hexDigests = fc.constantFrom("a".repeat(64), "b".repeat(64));

export const releases: fc.Arbitrary<Release> = fc.record(
  {
    version: versions,
    url: fc.constantFrom("file:///r.tgz", "https://r.example/r.tgz?x=1", "nats-object://slotd-releases/web/1.tar.gz"),
    sha256: hexDigests,
    sizeBytes: fc.integer({ min: 1, max: 1e9 }),
  },
  { noNullPrototype: true },
);

const common = {
  id: fc.stringMatching(/^[a-z0-9]{1,8}$/),
  epoch: fc.integer({ min: 0, max: 50 }),
  issuedBy: fc.constantFrom("ci", "anna"),
  issuedAt: fc.constant("2026-01-02T03:04:05.678Z"),
};

export const installs: fc.Arbitrary<InstallOrder> = fc.record(
  {
    ...common,
    action: fc.constant("install" as const),
    release: releases,
    workers: fc.integer({ min: 1, max: 1024 }),
  },
  { requiredKeys: ["id", "epoch", "issuedBy", "issuedAt", "action", "release"], noNullPrototype: true },
);

export const uninstalls: fc.Arbitrary<UninstallOrder> = fc.record(
  {
    ...common,
    action: fc.constant("uninstall" as const),
    version: versions,
    drainTimeoutMs: fc.integer({ min: 0, max: 60_000 }),
    reason: fc.constant("because"),
    force: fc.constant(false),
  },
  { requiredKeys: ["id", "epoch", "issuedBy", "issuedAt", "action", "version"], noNullPrototype: true },
);

export const orders: fc.Arbitrary<Order> = fc.oneof(installs, uninstalls);

/** A good value of JSON with one thing in it changed: a key removed, added, or given another value. */
export function mutated<T extends object>(values: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.tuple(values, fc.nat(), fc.nat(3), fc.jsonValue({ maxDepth: 2 }), fc.string()).map(mutate);
}

function mutate([value, where, how, other, name]: [object, number, number, unknown, string]): unknown {
  const copy = structuredClone(value) as Record<string, unknown>;
  const nested = Object.values(copy).filter((v) => typeof v === "object" && v !== null) as Record<string, unknown>[];
  const targets = [copy, ...nested];
  const target = targets[where % targets.length] as Record<string, unknown>;
  const keys = Object.keys(target);
  // In JSON a list has no properties with names; setting its `length` would throw.
  const added = Array.isArray(target) ? String(target.length) : name;
  const key = keys[where % keys.length] ?? added;
  if (how === 0) delete target[key];
  else if (how === 1) target[key] = other;
  else if (how === 2) target[added] = other;
  else target[key] = `${String(target[key])}${name}`;
  return copy;
}
