import { OrderMalformedError } from "../../protocol/errors.ts";
import { type Order, parseOrder } from "../../protocol/order.ts";

/** The order, if an agent would accept it. @throws OrderMalformedError naming the field and the rule */
export function checkOrder(order: unknown): Order {
  return parseOrder(JSON.stringify(order));
}

/** An order from the bus; null where it can't be read. */
export function readableOrder(text: string): Order | null {
  try {
    return parseOrder(text);
  } catch (error) {
    if (error instanceof OrderMalformedError) return null;
    throw error;
  }
}
