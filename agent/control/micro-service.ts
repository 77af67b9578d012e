import type { Logger } from "pino";
import type { BusConnection } from "../../bus/connection.ts";
import { parseJson } from "../../protocol/decode.ts";
import { OrderMalformedError, toSlotdError } from "../../protocol/errors.ts";
import { microService, subjects } from "../../protocol/subjects.ts";
import type { Config } from "../config/schema.ts";
import type { OutputLine } from "../output/worker-output.ts";
import type { Api } from "./api.ts";

/** What a message carries beside its payload. */
const PROTOCOL_BYTES = 1_024;

type Request = Record<string, unknown>;

/** The agent as a NATS micro service: the same answers as on the control socket. */
export function serveOnBus(bus: BusConnection, api: Api, config: Config, version: string, log: Logger): void {
  const verbs: Record<string, (request: Request) => unknown> = {
    status: () => api.status(),
    workers: () => api.workers(),
    drain: (request) => api.drain(slotOf(request), request, "bus"),
    undrain: (request) => api.undrain(slotOf(request), request, "bus"),
    restart: (request) => api.restart(slotOf(request), request, "bus"),
    logs: (request) => lastThatFit(api, request, bus.maxPayload - PROTOCOL_BYTES),
  };
  const start = async () => {
    if (!bus.connection) return;
    const { service: name, host, stage } = config;
    const { Svcm } = await import("../../bus/client.ts");
    const service = await new Svcm(bus.connection).add({
      name: microService,
      version,
      description: "slotd deploy agent",
      metadata: { service: name, host, stage },
    });
    for (const [verb, answer] of Object.entries(verbs)) {
      service.addEndpoint(verb, {
        subject: subjects.request(name, host, verb),
        handler: async (_error, message) => {
          try {
            message.respond(JSON.stringify(await answer(parse(message.string()))));
          } catch (error) {
            const known = toSlotdError(error);
            if (known.code === "INTERNAL") log.error({ err: error, verb }, "request failed");
            const status = known.code === "INTERNAL" ? 500 : 400;
            message.respondError(status, known.code, JSON.stringify({ error: known.toWire() }));
          }
        },
      });
    }
  };
  // Its subscriptions survive reconnections.
  bus.once("up", () => void start().catch((error) => log.error({ err: error }, "micro service could not be started")));
}

/** The last lines of each worker, fewer than were asked for where a message can't carry as many. */
async function lastThatFit(api: Api, request: Request, maxBytes: number): Promise<OutputLine[]> {
  const filter = api.outputFilter(request);
  for (let { lines } = filter; lines > 0; lines = Math.floor(lines / 2)) {
    const found: OutputLine[] = [];
    let bytes = 2;
    for await (const line of api.agent.output.read({ ...filter, lines }, null)) {
      found.push(line);
      bytes += Buffer.byteLength(JSON.stringify(line)) + 1;
      if (bytes > maxBytes) break;
    }
    if (bytes <= maxBytes) return found;
  }
  return [];
}

function slotOf(request: Request): string {
  if (typeof request.slot === "string") return request.slot;
  throw new OrderMalformedError("slot", "is required");
}

function parse(text: string): Request {
  if (text === "") return {};
  const json = parseJson(text);
  if ("broken" in json) throw new OrderMalformedError("(the request)", json.broken);
  const { value } = json;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Request;
  throw new OrderMalformedError("(the request)", "must be an object");
}
