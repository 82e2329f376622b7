import * as fs from "node:fs/promises";
import * as path from "node:path";
import { Command } from "commander";
import { execa } from "execa";
import { GroundworkError } from "../providers/errors.ts";
import { parsePins, renderPins } from "../stacks/observability/images/index.ts";
import { renderExamples, runCommand } from "./lib/cli.ts";
import { checkout } from "./lib/environment.ts";
import { goEnvironment } from "./lib/tools-make.ts";

/** What a registry has under a tag now, for all its platforms. */
async function readDigest(tag: string): Promise<string> {
  const crane = ["-C", path.join(checkout, "tools/crane"), "tool", "crane"];
  const { exitCode, stdout, stderr } = await execa("go", [...crane, "digest", tag], {
    env: goEnvironment,
    reject: false,
  });
  if (exitCode === 0 && /^sha256:[0-9a-f]{64}$/.test(stdout)) return stdout;
  throw new GroundworkError({
    code: "digest-unknown",
    message: `Cannot read which digest ${tag} has: \`crane digest\` said ${JSON.stringify(stderr === "" ? stdout : stderr.trim())}.`,
    next: "Run it where Go is installed and the image's registry can be reached; nothing was changed.",
  });
}

async function pin({ file, check }: { file: string; check?: true }): Promise<void> {
  const text = await fs.readFile(file, "utf8");
  const digests = new Map<string, string>();
  for (const { tag, digest } of parsePins(text)) {
    const now = await readDigest(tag);
    digests.set(tag, now);
    process.stdout.write(`${tag}: ${now === digest ? "unchanged" : `${digest} -> ${now}`}\n`);
  }
  const renewed = renderPins(text, digests);
  if (renewed === text) return;
  if (check === true) process.exitCode = 1;
  else await fs.writeFile(file, renewed);
}

await runCommand(
  new Command("make image-pins")
    .description(
      "Asks the registries which digests the tags of official images have now, and writes them down. " +
        "Look at what changed, deploy it to a machine of your own, then commit it.",
    )
    .option(
      "--file <file>",
      "what pins the images",
      path.join(checkout, "stacks/observability/compose.pull.yaml"),
    )
    .option("--check", "write nothing; exit with 1 when a tag has another digest")
    .addHelpText(
      "after",
      renderExamples([
        "make image-pins               the digests of now",
        "make image-pins ARGS=--check  only compares",
      ]),
    )
    .action(pin),
);
