import type { Colors } from "picocolors/types.js";

/** What the command needs of the world around it. Only `main.ts` knows where it comes from. */
export interface CliContext {
  write(text: string): void;
  writeError(text: string): void;
  /** The terminal that stdout is, with its size now; null where stdout is a file or a pipe. */
  terminal(): { columns: number; rows: number } | null;
  colors: Colors;
  /** Whether stderr is a terminal: there, and only there, is shown how far something is. */
  showsProgress: boolean;
  /** Aborted when the user has seen enough (Ctrl-C). */
  signal: AbortSignal;
  /** SLOTD_SOCKET. */
  socket: string | undefined;
  /** SOURCE_DATE_EPOCH. */
  sourceDateEpoch: string | undefined;
  /** PATH. */
  path: string;
  /** Who is asking, for the agent's records. */
  user: string;
  /** Where agents put their control sockets. */
  runDirectory: string;
  /** Where configuration files are. */
  configDirectory: string;
}
