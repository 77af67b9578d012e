import fc from "fast-check";
import { chooseVersion } from "../../../edge/table/choose-version.ts";
import type { Table } from "../../../edge/table/table.ts";
import { allTo } from "../../../edge/table/unnamed.ts";

const versions = ["A", "B", "C", "D"];

/** Tables with up to four versions of up to four endpoints, each at one of two ports. */
export const randomTable: fc.Arbitrary<Table> = fc
  .record({
    byDefault: fc.constantFrom(null, ...versions),
    fallback: fc.constantFrom(null, ...versions),
    served: fc.subarray(versions),
    endpoints: fc.array(
      fc.array(fc.record({ port: fc.constantFrom(0, 1), weight: fc.constantFrom(1, 2, 600) }), { maxLength: 4 }),
      {
        minLength: 4,
        maxLength: 4,
      },
    ),
  })
  .map(({ byDefault, fallback, served, endpoints }) => ({
    service: "web",
    epoch: 1,
    routesRevision: 1,
    serversetsRevision: 1,
    unnamed: byDefault === null ? [] : allTo(byDefault),
    fallback: byDefault === null ? null : fallback,
    versions: served.map((version) => ({
      version,
      endpoints: (endpoints[versions.indexOf(version)] ?? []).map(({ port, weight }, i) => ({
        id: `prod.h${i}.a`,
        stage: "prod",
        address: `127.0.3.${1 + i}`,
        port: 1_000 + 100 * versions.indexOf(version) + 10 * i + port,
        weight,
      })),
    })),
  }));

/** The rule that every proxy is tested against: the version that answers a request; null if none. */
export const answerOf = chooseVersion;

export const at = ({ address, port }: { address: string; port: number }) => `${address}:${port}`;

/** The addresses of a version's endpoints according to the table. */
export const addressesOf = (table: Table, version: string | null) =>
  (table.versions.find((v) => v.version === version)?.endpoints ?? []).map(at).sort();

export const everyName = [null, "unknown", ...versions];
