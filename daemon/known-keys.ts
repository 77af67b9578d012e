import type { z } from "zod";

/** What is asked of a schema here: zod 4 keeps it in `def`. */
interface Definition {
  innerType?: z.ZodType;
  valueType?: z.ZodType;
  shape?: Record<string, z.ZodType>;
  options?: z.ZodType[];
}

/** The keys that a schema knows in one of its tables. */
export function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let tables = tablesOf(schema);
  for (const key of path) tables = tables.flatMap((table) => tablesOf(childOf(table, key)));
  return tables.flatMap((table) => Object.keys(table.shape ?? {}));
}

function childOf({ shape, valueType }: Definition, key: PropertyKey): z.ZodType | undefined {
  return shape?.[String(key)] ?? valueType;
}

/** A schema without its defaults, and each of the schemas of a union. */
function tablesOf(schema: z.ZodType | undefined): Definition[] {
  if (schema === undefined) return [];
  const definition = schema.def as Definition;
  if (definition.innerType) return tablesOf(definition.innerType);
  return definition.options ? definition.options.flatMap(tablesOf) : [definition];
}
