import { OrderMalformedError } from "../../protocol/errors.ts";
import { type Order, parseOrder } from "../../protocol/order.ts";
import { ArgumentError } from "../errors.ts";

/** The option behind an order's field, where they have different names. */
const OPTIONS: Readonly<Record<string, string>> = {
  issuedBy: "--by",
  drainTimeoutMs: "--drain-timeout",
  "release.url": "--url",
  "release.sha256": "--sha256",
  "release.sizeBytes": "--size",
};

/** The order, if an agent would accept it. @throws OrderMalformedError naming the field and the rule */
export function checkOrder(order: unknown): Order {
  return parseOrder(JSON.stringify(order));
}

/** Checks an order that was made from options. @throws ArgumentError naming the option and the rule */
export function checkOptions(order: unknown): void {
  try {
    checkOrder(order);
  } catch (error) {
    if (!(error instanceof OrderMalformedError)) throw error;
    const { field = "" } = error;
    const rule = error.message.replace(`order refused: ${field} `, "");
    throw new ArgumentError(OPTIONS[field] ?? `--${field}`, rule.replace("with force", "with --force"), {
      cause: error,
    });
  }
}
