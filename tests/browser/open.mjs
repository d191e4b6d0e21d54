// What the checks of both browsers share: node FILE PAGE BROWSER CHECK
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [path, executable, wanted] = process.argv.slice(2);
export { executable, wanted };
export const url = pathToFileURL(path).href;
const project = join(dirname(path), "..");
export const read = (file) => readFileSync(join(project, file), "utf8");
export const file = (name) => join(dirname(path), name);
export const lines = (name, first, last) =>
  read(`src/${name}`)
    .split("\n")
    .slice(first - 1, last)
    .join("\n");

export const programs = ["treuseaddr", "treuseaddr2", "treuseaddr2-close-listener", "ureuseaddr"];
export const address = (fields) => `#${new URLSearchParams(fields)}`;

// Whether the new server binds, as the README's table has it, which other trials measure; of UDP
// the rule is that both must have the option.
const table = read("README.md")
  .split("<!-- outcomes -->")[1]
  .split("<!-- /outcomes -->")[0]
  .trim()
  .split("\n")
  .slice(2)
  .map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
export function binds(program, old, anew) {
  if (program === "ureuseaddr") return Boolean(old && anew);
  return table[2 * old + anew][2 + programs.indexOf(program)].includes("listens");
}

// A check that hangs is ended.
export async function run(checks, check) {
  if (!(wanted in checks)) throw new Error(`${wanted} is none of ${Object.keys(checks)}`);
  const timer = setTimeout(() => {
    console.error("it takes longer than 15 minutes");
    process.exit(1);
  }, 900_000);
  await check(checks[wanted]);
  clearTimeout(timer);
}
