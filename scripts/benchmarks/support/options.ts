import { parseArgs } from "node:util";

/** Name of an option → how its value is read. A RangeError of that says which rule the value breaks. */
export type OptionRules = Record<string, (text: string) => unknown>;
export type OptionsOf<R extends OptionRules> = { [K in keyof R]?: ReturnType<R[K]> };

export interface CommandLine<R extends OptionRules> {
  json: boolean;
  quick: boolean;
  options: OptionsOf<R>;
}

/** @throws Error with what is wrong, for people */
export function readCommandLine<R extends OptionRules>(words: readonly string[], own: R): CommandLine<R> {
  const flag = { type: "boolean", default: false } as const;
  const value = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...words],
    options: { json: flag, quick: flag, ...Object.fromEntries(Object.keys(own).map((name) => [name, value])) },
  });
  const { json = false, quick = false, ...texts } = values as Record<string, string | boolean>;
  const options: OptionsOf<R> = {};
  for (const [name, text] of Object.entries(texts)) {
    try {
      options[name as keyof R] = own[name]?.(String(text)) as ReturnType<R[string]>;
    } catch (error) {
      if (error instanceof RangeError) throw new Error(`--${name} ${error.message}, but is ${text}`);
      throw error;
    }
  }
  return { json: json === true, quick: quick === true, options };
}

export function wholeNumber(from: number, to: number) {
  return (text: string): number => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < from || number > to)
      throw new RangeError(`must be a whole number from ${from} to ${to}`);
    return number;
  };
}

export function oneOf<T extends string>(...names: readonly T[]) {
  return (text: string): T => {
    if (!names.includes(text as T)) throw new RangeError(`must be one of ${names.join(", ")}`);
    return text as T;
  };
}
