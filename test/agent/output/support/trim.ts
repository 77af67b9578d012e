/** Trims a directory of output files without a pause, until it is killed: node trim.js DIRECTORY MAX_BYTES */
import { FileOutput } from "../../../../agent/output/files.ts";

const [directory, maxBytes] = process.argv.slice(2);
const output = new FileOutput(directory as string, Number(maxBytes));
for (;;) {
  await output.trim();
  await new Promise(setImmediate);
}
