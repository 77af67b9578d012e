import { type ConfigKind, decodeConfig, deepFreeze, readConfigFile } from "../../daemon/read-config.ts";
import { proxyKinds } from "../proxies/kinds.ts";
import { type EdgeConfig, edgeConfigSchema } from "./schema.ts";

const KIND: ConfigKind = {
  keysIn: "docs/edge.md",
  // An address may hold a login.
  secret: /^nats\.servers/,
  rules: {
    service: "must match [a-z0-9][a-z0-9_-]{0,62}",
    proxy: 'must be a table, such as { kind = "haproxy", … }; see docs/edge.md',
    "proxy.kind": `must be one of ${Object.keys(proxyKinds)
      .map((kind) => `"${kind}"`)
      .join(", ")}`,
  },
};

/**
 * Loads a configuration file: decodes it strictly, fills in defaults, checks the rules, freezes the result.
 * @throws ConfigInvalidError naming the key, the rule and the value.
 */
export function loadEdgeConfig(path: string): EdgeConfig {
  return parseEdgeConfig(readConfigFile(path), path);
}

/** The same for a text. `path` only appears in messages. */
export function parseEdgeConfig(text: string, path = "the configuration"): EdgeConfig {
  const config = decodeConfig(edgeConfigSchema, text, path, KIND);
  return deepFreeze({ ...config, state_directory: config.state_directory ?? `/var/lib/slotd-edge/${config.service}` });
}
