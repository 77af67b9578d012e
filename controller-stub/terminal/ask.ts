import { createInterface } from "node:readline/promises";

/** Asks on a terminal. Anything but y or yes, the end of the input included, is a no. */
export async function askYesNo(
  question: string,
  terminal: { input: NodeJS.ReadableStream; output: NodeJS.WritableStream },
): Promise<boolean> {
  const lines = createInterface(terminal);
  lines.once("SIGINT", () => lines.close());
  const ended = new Promise<string>((resolve) => lines.once("close", () => resolve("")));
  try {
    const answer = await Promise.race([lines.question(question), ended]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
