import { type Order, parseOrder } from "../../protocol/order.ts";

/** The order, if an agent would accept it. @throws OrderMalformedError naming the field and the rule */
export function checkOrder(order: unknown): Order {
  return parseOrder(JSON.stringify(order));
}
