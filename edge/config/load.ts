import { type ConfigKind, decodeConfig, deepFreeze, readConfigFile } from "../../daemon/read-config.ts";
import { type Config, configSchema } from "./schema.ts";

const KIND: ConfigKind = {
  keysIn: "docs/edge.md",
  rules: { "proxy.kind": 'must be one of "builtin", "varnish", "haproxy"' },
};

/**
 * Reads a configuration file: defaults, then strict decoding, then the rules, then frozen.
 * @throws ConfigInvalidError naming the key, the rule and the value.
 */
export function loadConfig(path: string): Config {
  return parseConfig(readConfigFile(path), path);
}

/** The same for a text; `path` is only named in messages. */
export function parseConfig(text: string, path = "the configuration"): Config {
  const config = decodeConfig(configSchema, text, path, KIND);
  return deepFreeze({ ...config, state_directory: config.state_directory ?? `/var/lib/slotd-edge/${config.service}` });
}
