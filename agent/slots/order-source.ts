/**
 * Where an agent's orders come from. It hands each slot's last order to the agent, again where the agent could not take
 * it, and asks the agent to refresh beforehand what an order is judged by. Today it is the orders bucket of NATS.
 */
export interface OrderSource {
  start(): void;
  /** No order is brought any more. */
  stop(): void;
}
