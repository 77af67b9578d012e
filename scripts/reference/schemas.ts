import { z } from "zod";
import { deploySchema } from "../../protocol/deploy.ts";
import { eventSchema } from "../../protocol/event.ts";
import { hostStatusSchema, workerStatusSchema } from "../../protocol/host-status.ts";
import { memberSchema } from "../../protocol/member.ts";
import { orderSchema } from "../../protocol/order.ts";
import { releaseSchema } from "../../protocol/release.ts";
import { edgeStatusSchema, routesSchema } from "../../protocol/routes.ts";
import { buckets, eventStream, subjects } from "../../protocol/subjects.ts";

/** The wire's types as JSON Schema (draft 2020-12), by file name. */
export function jsonSchemas(): Record<string, object> {
  const types = {
    order: orderSchema,
    release: releaseSchema,
    "host-status": hostStatusSchema,
    "worker-status": workerStatusSchema,
    member: memberSchema,
    routes: routesSchema,
    "edge-status": edgeStatusSchema,
    deploy: deploySchema,
    event: eventSchema,
  };
  return Object.fromEntries(
    Object.entries(types).map(([name, schema]) => [name, { title: name, ...z.toJSONSchema(schema, { io: "input" }) }]),
  );
}

/** What travels on the bus, as an AsyncAPI 3 document that refers to the schemas beside it. */
export function asyncApi(version: string): object {
  const channels = {
    orders: kv(buckets.orders, "{service}.{host}.{slot}", "order", "What a slot is to hold; by the controller"),
    hosts: kv(
      buckets.hosts,
      "{service}.{host}",
      "host-status",
      "What a host reports; by the agent, on change and every 5 s",
    ),
    serversets: kv(buckets.serversets, "{service}.{stage}.{host}.{slot}", "member", "Who serves what; by the agent"),
    routes: kv(buckets.routes, "{service}", "routes", "Which versions are served; by the controller"),
    edges: kv(buckets.edges, "{service}.{edge}", "edge-status", "What an edge has applied; by the edge"),
    deploys: kv(buckets.deploys, "{service}", "deploy", "Epochs and deploys; by the controller"),
    events: {
      address: subjects.event("{service}", "{host}", "{slot}"),
      description: `What happened, for people and audits. Stream ${eventStream.name}, kept ${eventStream.maxAgeMs / 86_400_000} days`,
      messages: { event: message("event") },
    },
  };
  return {
    asyncapi: "3.0.0",
    info: { title: "slotd on the bus", version, license: { name: "Apache-2.0" } },
    defaultContentType: "application/json",
    channels: Object.fromEntries(Object.entries(channels).map(([name, channel]) => [name, withParameters(channel)])),
  };
}

function kv(bucket: string, key: string, schema: string, description: string) {
  return {
    address: `$KV.${bucket}.${key}`,
    description: `JetStream KV bucket ${bucket}. ${description}`,
    messages: { [schema]: message(schema) },
  };
}

function message(schema: string) {
  return {
    payload: { schemaFormat: "application/schema+json;version=draft-2020-12", schema: { $ref: `./${schema}.json` } },
  };
}

function withParameters<C extends { address: string }>(channel: C) {
  const names = [...channel.address.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string);
  const parameters = Object.fromEntries(names.map((name) => [name, { description: `The ${name}, as one token` }]));
  return { ...channel, parameters };
}
