/**
 * The NATS client and what is made of it, in one module that is loaded when a daemon first turns to the bus. Loading
 * takes a tenth of the time in which an agent takes over its workers, and those come first.
 */
export { jetstream } from "@nats-io/jetstream";
export { Kvm } from "@nats-io/kv";
export { Objm } from "@nats-io/obj";
export { Svcm } from "@nats-io/services";
export { connect } from "@nats-io/transport-node";
export { createMissing } from "./create-missing.ts";
export { loginOptions } from "./login.ts";
