import type { Logger } from "pino";
import type { VersionNaming } from "../../table/table.ts";
import type { ManagedProxy } from "../contract.ts";
import { Builtin } from "./builtin.ts";
import type { BuiltinConfig } from "./config.ts";

/**
 * Starts the router.
 * @throws PortTakenError
 */
export async function createBuiltin(config: BuiltinConfig, naming: VersionNaming, log: Logger): Promise<ManagedProxy> {
  const router = new Builtin(config, naming, log);
  await router.listen();
  return router;
}
