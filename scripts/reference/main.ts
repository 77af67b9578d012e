import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorsPage } from "./errors-page.ts";
import { asyncApi, jsonSchemas } from "./schemas.ts";

// Writes what is made from the code: JSON Schemas, the AsyncAPI document, the table of errors. With --check it only
// compares.
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const json = (value: object) => `${JSON.stringify(value, null, 2)}\n`;
const files = new Map<string, string>([
  ...Object.entries(jsonSchemas()).map(([name, schema]): [string, string] => [
    `protocol/schemas/${name}.json`,
    json(schema),
  ]),
  ["protocol/schemas/asyncapi.json", json(asyncApi(version))],
  ["docs/errors.md", errorsPage()],
]);

const check = process.argv.includes("--check");
const stale = [...files].filter(([path, content]) => read(path) !== content);
for (const [path, content] of check ? [] : stale) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
for (const [path] of stale) console.log(check ? `stale: ${path}` : `written: ${path}`);
if (check && stale.length > 0) {
  console.error("error: run `npm run reference`, and commit what it writes");
  process.exit(1);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
