import * as fs from "node:fs/promises";
import * as path from "node:path";
import { dashboards, renderDashboard } from "../stacks/observability/grafana/model/index.ts";

// Writes stacks/observability/grafana/dashboards from the model beside it. With --check it writes nothing and
// fails when a file is not current.

const folder = path.resolve(import.meta.dirname, "../stacks/observability/grafana/dashboards");
const wanted = new Map(
  dashboards.map((dashboard) => [
    `${dashboard.uid}.json`,
    `${JSON.stringify(renderDashboard(dashboard), undefined, 2)}\n`,
  ]),
);
const present = await fs.readdir(folder).catch(() => []);

if (!process.argv.includes("--check")) {
  await fs.mkdir(folder, { recursive: true });
  for (const name of present) if (!wanted.has(name)) await fs.rm(path.join(folder, name));
  for (const [name, text] of wanted) await fs.writeFile(path.join(folder, name), text);
} else {
  const stale = [...new Set([...wanted.keys(), ...present])];
  for (const name of stale) {
    const text = await fs.readFile(path.join(folder, name), "utf8").catch(() => undefined);
    if (text === wanted.get(name)) continue;
    console.error(
      `grafana/dashboards/${name} is not what the model says. Run: node --import=tsx scripts/generate-dashboards.ts`,
    );
    process.exitCode = 1;
  }
}
