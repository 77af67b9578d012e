import { InvalidArgumentError } from "commander";

/** An option's value as a whole number. */
export function wholeNumberOption(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a whole number.");
}
/** For an option that may be given several times. */
export function repeatedOption(text: string, before: string[] = []): string[] {
  return [...before, text];
}
