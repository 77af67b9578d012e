import { listServices } from "../bus/list-services.ts";
import type { BusSession } from "../bus/session.ts";
import { ServiceUnknownError } from "./errors.ts";

/** @throws ServiceUnknownError where nothing on the bus is about the service: its name is most likely a typing error */
export async function requireService(bus: BusSession, service: string): Promise<void> {
  const known = await listServices(bus);
  if (!known.includes(service)) throw new ServiceUnknownError(service, known);
}
