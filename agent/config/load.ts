import { type ConfigKind, decodeConfig, deepFreeze, readConfigFile } from "../../daemon/read-config.ts";
import { ConfigInvalidError } from "../../protocol/errors.ts";
import { advertisedAddress, wildcards } from "./advertised-address.ts";
import { longestNotifyPath } from "./notify-paths.ts";
import { type Config, configSchema, slotWorkers } from "./schema.ts";

/** Longest path that fits a unix socket's address, with its final NUL (unix(7), sun_path). */
const MAX_SOCKET_PATH = 107;

// An app's environment may hold secrets, and so may whatever has it inside. A server's address may hold a login.
const KIND: ConfigKind = { keysIn: "docs/config.md", secret: /^(app\.(environment|secrets)|nats\.servers)/ };

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
  const socket = config.control.socket ?? `/run/slotd/${config.service}.sock`;
  if (Buffer.byteLength(socket) > MAX_SOCKET_PATH)
    throw new ConfigInvalidError("control.socket", `must be at most ${MAX_SOCKET_PATH} bytes long, but is ${socket}`);
  const whole: Config = {
    ...config,
    slots: slotWorkers(config),
    state_directory: config.state_directory ?? `/var/lib/slotd/${config.service}`,
    advertise: config.advertise ?? (wildcards.includes(config.bind) ? ownAddress(config.bind) : config.bind),
    control: { ...config.control, socket },
  };
  const beside = longestNotifyPath(whole);
  if (beside !== null && Buffer.byteLength(beside) > MAX_SOCKET_PATH)
    throw new ConfigInvalidError(
      "control.socket",
      `must be shorter: the workers' own sockets lie beside it, and ${beside} is over ${MAX_SOCKET_PATH} bytes`,
    );
  return deepFreeze(whole);
}

function ownAddress(bind: string): string {
  const found = advertisedAddress(bind === "::" ? "IPv6" : "IPv4");
  if (typeof found === "string") return found;
  throw new ConfigInvalidError(
    "advertise",
    `is required: this host has several addresses (${found.candidates.slice(0, 8).join(", ")}) and no default route; ` +
      "set the one at which edges reach it",
  );
}
