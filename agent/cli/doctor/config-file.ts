import { join } from "node:path";
import { SlotctlUsageError } from "../errors.ts";
import { checkedService, namesEnding } from "../socket.ts";

/** Ways to choose a configuration. */
export interface ConfigChoice {
  /** `--config` */
  config?: string | undefined;
  /** `--service` */
  service?: string | undefined;
  configDirectory: string;
}

/**
 * The configuration file to check: `--config`, else that of `--service`, else the only one in the directory.
 * @throws SlotctlUsageError if there is none or more than one.
 */
export function chooseConfig({ config, service, configDirectory }: ConfigChoice): string {
  if (config) return config;
  if (service) return join(configDirectory, `${checkedService(service)}.toml`);
  const found = namesEnding(configDirectory, ".toml");
  const [only] = found;
  if (only && found.length === 1) return join(configDirectory, only);
  if (!only)
    throw new SlotctlUsageError(`there is no configuration in ${configDirectory}; name one with --config FILE`);
  const services = found.map((name) => name.slice(0, -".toml".length));
  throw new SlotctlUsageError(
    `several services are configured here (${services.join(", ")}); choose one with --service NAME or --config FILE`,
  );
}
