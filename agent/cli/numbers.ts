import { InvalidArgumentError } from "commander";

/** An option's value as a whole number. */
export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It takes a whole number.");
}
