import { compactImage } from "../images/index.ts";
import { GroundworkError } from "../providers/errors.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { readContext } from "./lib/context.ts";
import { readCredentials } from "./lib/images.ts";
import { formatBytes } from "./lib/units.ts";

interface Options extends CommonOptions {
  as?: string;
}

async function compact(name: string, options: Options): Promise<void> {
  const { config, cache, environment } = await readContext(options.stack);
  const image = config.images.find((each) => each.name === name);
  if (image === undefined)
    throw new GroundworkError({
      code: "image-unknown",
      message: `The stack has no image "${name}": ${config.images.map((each) => each.name).join(", ")}.`,
      next: "Name one of groundwork:images.",
    });
  const { as = `${name}-compact` } = options;
  if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(as))
    throw new GroundworkError({
      code: "bad-option",
      message: `Cannot call an image "${as}".`,
      next: "Use lower-case letters, digits, points and hyphens.",
    });
  const { report, phase } = progressFor(options);
  const store = { ...config.objectStore, credentials: await readCredentials(environment) };
  const { before, after, digest } = await phase(`Compact ${name}`, () =>
    compactImage(image, { cache, store, as, report }),
  );
  const lines =
    after === undefined
      ? [`${name} is ${formatBytes(before)} and as compact as it can be; nothing was published.`]
      : [
          `${as} is ${formatBytes(after)}, where ${name} is ${formatBytes(before)}, with the same content.`,
          "Machines that are to be made from it name it in the stack file. To volumes it is another image: those that are there are written anew when it becomes theirs.",
        ];
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ stack: options.stack, image: name, as, before, after, digest })}\n`
      : lines.map((line) => `${line}\n`).join(""),
  );
}

await runCommand(
  createCommand("compact", "A smaller image with the same content as one in the object store.", [
    'make compact ARGS="debian"                     as debian-compact',
    'make compact ARGS="debian --as debian-13.2"',
  ])
    .argument("<image>", "as in groundwork:images")
    .option("--as <name>", "how it is called (default: <image>-compact)")
    .action(compact),
);
