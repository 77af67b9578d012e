import { InvalidArgumentError } from "commander";

/** Parses an option's value as a whole number. */
export function wholeNumberOption(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a whole number.");
}
/** Collects the values of a repeatable option. */
export function repeatedOption(text: string, before: string[] = []): string[] {
  return [...before, text];
}
