import type { Colors } from "picocolors/types.js";

/** The command's environment. Only `main.ts` knows its sources. */
export interface CliContext {
  write(text: string): void;
  writeError(text: string): void;
  /** The current size of the terminal on stdout; null if stdout is a file or a pipe. */
  terminal(): { columns: number; rows: number } | null;
  colors: Colors;
  /** Whether stderr is a terminal. Progress is shown only there. */
  showsProgress: boolean;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** SLOTD_SOCKET. */
  socket: string | undefined;
  /** SOURCE_DATE_EPOCH. */
  sourceDateEpoch: string | undefined;
  /** PATH. */
  path: string;
  /** The user, for the agent's records. */
  user: string;
  /** The directory of the agents' control sockets. */
  runDirectory: string;
  /** The directory of configuration files. */
  configDirectory: string;
}
