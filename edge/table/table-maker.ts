import type { MemberBounds } from "../members/member-bounds.ts";
import type { KnownMembers } from "../members/members.ts";
import type { ReadMember } from "../members/read-member.ts";
import type { RoutesBook } from "../routes/routes-book.ts";
import type { TableSources } from "../state/state-file.ts";
import { atRevision, findDigestMismatches, isDefault, isRoutable, makeTable } from "./make-table.ts";
import type { Table } from "./table.ts";

export interface TableSettings {
  service: string;
  fallback: "none" | "previous";
  /** If more than this share of the endpoints vanishes together, they are held back: from 0 to 1. */
  maxLoss: number;
  bounds: MemberBounds;
}

/** Makes tables from what is known now, and remembers the texts that each of them was made from, for the state file. */
export class TableMaker {
  /** The ids of endpoints that are held back in the last table. */
  heldBack: readonly string[] = [];
  /** Members whose release differs from the one that the last table's routes name. */
  digestMismatches: readonly ReadMember[] = [];
  /** Members that claim more than the edge grants: their ids, and the rule that each breaks. */
  excess: ReadonlyMap<string, string> = new Map();
  private readonly sources = new WeakMap<Table, TableSources>();

  constructor(
    private readonly settings: TableSettings,
    private readonly book: RoutesBook,
    private readonly known: KnownMembers,
  ) {}

  make(): Table {
    const { service, fallback, maxLoss, bounds } = this.settings;
    const known = this.known.all();
    const excess = bounds.findExcess(known);
    this.excess = excess;
    this.book.settle(
      (routes) => known.some((member) => member.alive && !excess.has(member.id) && isDefault(member, routes)),
      () => this.ignored(),
    );
    const { routes, revision: routesRevision } = this.book;
    const { revision: serversetsRevision } = this.known;
    const { members, heldBack } = this.known.judgeLosses(
      (member) => isRoutable(member, routes) && !excess.has(member.id),
      maxLoss,
    );
    this.heldBack = heldBack;
    this.digestMismatches = findDigestMismatches(known, routes);
    const table = makeTable({ service, routes, routesRevision, members, serversetsRevision, fallback });
    this.sources.set(table, { routes: this.book.snapshot(), members: this.known.snapshot(), serversetsRevision });
    return table;
  }

  /** Which members are ignored, in words; empty without any. */
  private ignored(): string {
    const excess = [...this.excess].map(([id, rule]) => [`${this.settings.service}.${id}`, rule] as const);
    const ignored = [...this.known.problems, ...excess];
    const [first] = ignored;
    if (first === undefined) return "";
    const [key, rule] = first;
    return `it ignores ${ignored.length} ${ignored.length === 1 ? "member" : "members, such as"} ${key}: ${rule}`;
  }

  /** The same table, as of the newest revision of the serverset: members only repeated themselves since it was made. */
  atNewestRevision(table: Table): Table {
    const { revision: serversetsRevision } = this.known;
    const repeated = atRevision(table, serversetsRevision);
    const sources = this.sources.get(table);
    if (sources) this.sources.set(repeated, { ...sources, serversetsRevision });
    return repeated;
  }

  /** What a table of this maker was made from. */
  sourcesOf(table: Table): TableSources | null {
    return this.sources.get(table) ?? null;
  }
}
