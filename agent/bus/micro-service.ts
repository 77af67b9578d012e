import { Svcm } from "@nats-io/services";
import type { Logger } from "pino";
import { microService, OrderMalformedError, subjects, toSlotdError } from "../../protocol/index.ts";
import type { Config } from "../config/schema.ts";
import type { Api } from "../control/api.ts";
import { lastOutput } from "../control/output-reader.ts";
import type { Bus } from "./bus.ts";

const LOG_LINES = 100;

interface Request {
  slot?: string;
  worker?: number;
  lines?: number;
  by?: string;
  reason?: string;
}

/** The agent as a NATS micro service: the same answers as on the control socket. */
export function serveOnBus(bus: Bus, api: Api, config: Config, version: string, log: Logger): void {
  const verbs: Record<string, (request: Request) => unknown> = {
    status: () => api.status(),
    workers: () => api.workers(),
    drain: (request) => api.drain(slotOf(request), request),
    undrain: (request) => api.undrain(slotOf(request), request),
    restart: (request) => api.restart(slotOf(request), request),
    logs: async ({ slot, worker, lines }) => {
      const filter = { slot: slot ?? null, worker: worker ?? null, lines: Math.min(lines ?? LOG_LINES, 1_000) };
      return (await lastOutput(api.agent.logDirectory, filter)).lines;
    },
  };
  const start = async () => {
    if (!bus.connection) return;
    const { service: name, host, stage } = config;
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
            const text = message.string();
            message.respond(JSON.stringify(await answer(text === "" ? {} : parse(text))));
          } catch (error) {
            const known = toSlotdError(error);
            message.respondError(
              known.code === "INTERNAL" ? 500 : 400,
              known.code,
              JSON.stringify({ error: known.toWire() }),
            );
          }
        },
      });
    }
  };
  // Its subscriptions survive reconnections.
  bus.once("up", () => void start().catch((error) => log.error({ err: error }, "micro service could not be started")));
}

function slotOf(request: Request): string {
  if (typeof request.slot === "string") return request.slot;
  throw new OrderMalformedError("slot", "is required");
}

function parse(text: string): Request {
  try {
    return JSON.parse(text) as Request;
  } catch (cause) {
    throw new OrderMalformedError("(the request)", "must be JSON", { cause });
  }
}
