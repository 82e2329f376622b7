import * as fs from "node:fs/promises";
import * as path from "node:path";
import * as prettier from "prettier";
import { buildStackFileSchema } from "../config/stack-file-schema.ts";

// Writes schemas/stack.schema.json, by which editors complete stack files, from the zod schemas of
// config/. With --check it writes nothing and fails when the file is not current.

const file = path.resolve(import.meta.dirname, "../schemas/stack.schema.json");
const options = { ...(await prettier.resolveConfig(file)), filepath: file };
const wanted = await prettier.format(JSON.stringify(buildStackFileSchema()), options);

if (!process.argv.includes("--check")) {
  await fs.mkdir(path.dirname(file), { recursive: true });
  await fs.writeFile(file, wanted);
} else if ((await fs.readFile(file, "utf8").catch(() => "")) !== wanted) {
  console.error(
    "schemas/stack.schema.json is not what config/ says. Run: node --import=tsx scripts/generate-schema.ts",
  );
  process.exitCode = 1;
}
