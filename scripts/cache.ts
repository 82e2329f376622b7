import { type Command, InvalidArgumentError, Option } from "commander";
import { type CacheLimits } from "../providers/image-cache/core/eviction-plan.ts";
import { evictFromCache, listCache, verifyCache } from "../providers/image-cache/effects/cache.ts";
import { removeSpareGolden } from "../providers/image-cache/effects/golden.ts";
import { prewarmImage } from "../providers/image-cache/effects/prewarm.ts";
import { isDigest } from "../providers/image-volume/core/layout.ts";
import {
  describeEviction,
  describeListing,
  describePrewarm,
  describeVerification,
  type HostAnswer,
  imagesOf,
} from "./lib/cache-report.ts";
import { type CommonOptions, createCommand, explainError, runCommand } from "./lib/cli.ts";
import { type Context, readContext } from "./lib/context.ts";
import { parseBytes } from "./lib/units.ts";

interface Options extends CommonOptions {
  host?: string[];
  image?: string[];
  digest?: string[];
  maxSize?: number;
  maxEntries?: number;
  maxAgeDays?: number;
  golden?: boolean;
  dryRun?: boolean;
}

/** The hosts that were named, else all of the stack, each once. */
function hostsOf({ config, environment }: Context, { host }: Options): string[] {
  const fallback = environment["LIBVIRT_DEFAULT_URI"] ?? "qemu:///system";
  return [...new Set(host ?? config.hypervisors.map(({ uri }) => uri ?? fallback))];
}

/** Asks every host at once; one that fails leaves the others alone and makes the program fail. */
async function onHosts<Answer>(
  options: Options,
  ask: (uri: string, context: Context) => Promise<Answer>,
  describe: (answer: Answer) => string[],
): Promise<void> {
  const context = await readContext(options.stack);
  const answers = await Promise.all(
    hostsOf(context, options).map(async (host): Promise<HostAnswer<Answer>> => {
      try {
        return { host, ...(await ask(host, context)) };
      } catch (error) {
        process.exitCode = 1;
        return { host, error: explainError(error) };
      }
    }),
  );
  const lines = answers.flatMap((answer) => [
    `${answer.host}:`,
    ...("error" in answer ? [answer.error] : describe(answer)).map((line) => `  ${line}`),
  ]);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ stack: options.stack, hosts: answers })}\n`
      : `${lines.join("\n")}\n`,
  );
}

const list = (options: Options): Promise<void> => onHosts(options, listCache, describeListing);

const prewarm = (options: Options): Promise<void> =>
  onHosts(
    options,
    async (uri, { config }) => {
      const images = [];
      for (const { name, ...image } of imagesOf(config, options.image))
        images.push({ name, ...(await prewarmImage(uri, image)) });
      return { images };
    },
    describePrewarm,
  );

const verify = (options: Options): Promise<void> =>
  onHosts(
    options,
    async (uri) => {
      const entries = await verifyCache(uri, options.digest);
      if (entries.some(({ result }) => result.startsWith("corrupt"))) process.exitCode = 1;
      return { entries };
    },
    describeVerification,
  );

function evict(options: Options, command: Command): Promise<void> {
  const { maxSize, maxEntries, maxAgeDays, digest, golden = false, dryRun = false } = options;
  const limits: CacheLimits = {
    ...(maxSize !== undefined && { maxBytes: maxSize }),
    ...(maxEntries !== undefined && { maxEntries }),
    ...(maxAgeDays !== undefined && { maxAgeSeconds: maxAgeDays * 24 * 3600 }),
    ...(digest !== undefined && { digests: digest }),
  };
  if (Object.keys(limits).length === 0 && !golden)
    command.error(
      "error: say what goes: --max-size, --max-entries, --max-age-days, --digest or --golden",
    );
  return onHosts(
    options,
    async (uri) => ({
      dryRun,
      ...(await evictFromCache(uri, limits, { dryRun })),
      golden: golden
        ? await removeSpareGolden(uri, { dryRun, ...(digest && { digests: digest }) })
        : [],
    }),
    describeEviction,
  );
}

const wrong = (expected: string): never => {
  throw new InvalidArgumentError(`It must be ${expected}.`);
};
const bytes = (text: string): number => parseBytes(text) ?? wrong("a size such as 20GiB");
const number = (text: string): number =>
  /^[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : wrong("a number");
const whole = (text: string): number =>
  /^[0-9]+$/.test(text) ? Number(text) : wrong("a whole number");
const digest = (text: string, before: string[] = []): string[] =>
  isDigest(text) ? [...before, text] : wrong("64 hexadecimal digits in lower case");
const collect = (text: string, before: string[] = []): string[] => [...before, text];

const program = createCommand("cache", "The images that hypervisors keep.", [
  'make cache ARGS="list"                              what is there, and what it is for',
  'make cache ARGS="prewarm --image debian"            fetch it before a volume needs it',
  'make cache ARGS="verify"                            read everything, set aside what changed',
  'make cache ARGS="evict --max-size 20GiB --dry-run"  what would go',
]);

/** A command that works on hosts, with the options of all programs. */
function hostCommand(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(
      new Option(
        "--host <uri>",
        "a libvirt URI, once or more (default: all of the stack)",
      ).argParser(collect),
    );
}

const run =
  (action: (options: Options, command: Command) => Promise<void>) =>
  (_options: unknown, command: Command): Promise<void> =>
    action(command.optsWithGlobals(), command);
const byDigest = (): Option =>
  new Option("--digest <sha256>", "only this image, once or more").argParser(digest);

hostCommand("list", "Lists what is in the cache, the longest unused first.").action(run(list));
hostCommand("prewarm", "Fetches the stack's images that are not there yet.")
  .addOption(
    new Option("--image <name>", "only this image, once or more (default: all)").argParser(collect),
  )
  .action(run(prewarm));
hostCommand("verify", "Reads every entry and sets aside what is not what it was.")
  .addOption(byDigest())
  .action(run(verify));
hostCommand("evict", "Removes what exceeds the limits, but nothing that a run is using.")
  .option("--max-size <size>", "all files together, such as 20GiB", bytes)
  .option("--max-entries <count>", "how many images stay", whole)
  .option("--max-age-days <days>", "what was last used longer ago goes", number)
  .addOption(byDigest())
  .option("--golden", "golden volumes in thin pools of which there is no clone (any longer)")
  .option("--dry-run", "only say what would go")
  .action(run(evict));

await runCommand(program);
