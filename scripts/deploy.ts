import * as path from "node:path";
import { Command } from "commander";
import {
  argumentsSchema,
  type ComposeProjectArguments,
} from "../providers/compose-project/core/arguments.ts";
import { environmentFile } from "../providers/compose-project/core/layout.ts";
import { deploy, desiredFiles, examine } from "../providers/compose-project/effects/project.ts";
import { GroundworkError } from "../providers/errors.ts";
import { quote } from "../providers/host/core/script.ts";
import { type Host, openHost } from "../providers/host/effects/host.ts";
import { renderExamples, runCommand } from "./lib/cli.ts";
import { parseHostSettings, planHostUri, planSettings } from "./lib/deploy-plan.ts";
import { checkout } from "./lib/environment.ts";
import { requestUntil } from "./lib/smoke.ts";

interface Options {
  host: string;
  key?: string;
  knownHosts?: string;
  sshConfig?: string;
  path: string;
  folder: string;
  stack: string;
  project: string;
  composeFile: string[];
  set: string[];
  images: string;
  engine: string;
  timeout: string;
  plan?: true;
  smoke?: true;
  url: string[];
  json?: true;
}

/** Settings come from the options or, where there are none, from what the host has already. */
async function readArguments(options: Options, host: Host): Promise<ComposeProjectArguments> {
  const { environment, secrets } = planSettings(options.set, process.env);
  const file = `${options.path}/${environmentFile}`;
  const script = `cat ${quote(file)} 2>/dev/null || true`;
  const there = parseHostSettings(await host.run(script, { purpose: `read ${file}` }));
  if (there === undefined && options.composeFile.length === 0)
    throw new GroundworkError({
      code: "no-settings",
      message: `There is no project at ${options.path} on ${host.name} yet, so its settings are not known.`,
      next: "Deploy it with `make up`, or give --compose-file and --set for a first deployment.",
    });
  const parsed = argumentsSchema.safeParse({
    ...{ stack: options.stack, host: host.connection.uri, folder: options.folder },
    ...{ path: options.path, owner: `groundwork/${options.stack}` },
    project: there?.project ?? options.project,
    composeFiles: options.composeFile.length > 0 ? options.composeFile : there?.composeFiles,
    environment,
    // Whatever the host had may be a secret: none of it is shown.
    secrets: { ...omit(there?.variables ?? {}, Object.keys(environment)), ...secrets },
    ...{ images: options.images, engine: options.engine },
    ...{ checkScript: "check-config", smokeScript: "smoke-test" },
    smokeArguments: [
      "--http-port",
      environment["HTTP_PORT"] ?? there?.variables["HTTP_PORT"] ?? "80",
    ],
    upTimeoutSeconds: Number(options.timeout),
  });
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new GroundworkError({
    code: "bad-arguments",
    message: `Cannot deploy with these options: ${issues.join("; ")}.`,
    next: "See `scripts/deploy --help`.",
  });
}

function omit(record: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function run(options: Options): Promise<void> {
  if (options.json === true && options.plan !== true)
    throw new GroundworkError({
      code: "bad-option",
      message: "--json is for --plan only.",
      next: "Leave it out; the exit code tells how a deployment or a smoke test went.",
    });
  if (options.smoke === true) {
    const { hostname } = new URL(planHostUri(options.host, {}));
    const urls = options.url.length > 0 ? options.url : [`http://${hostname}/`];
    for (const url of urls) say(await requestUntil(url, 60));
    return;
  }
  const uri = planHostUri(options.host, {
    ...(options.key !== undefined && { key: options.key }),
    ...(options.knownHosts !== undefined && { knownHosts: options.knownHosts }),
    ...(options.sshConfig !== undefined && { config: options.sshConfig }),
  });
  const host = openHost(uri);
  const args = await readArguments(options, host);
  if (options.plan === true) {
    const { summary } = await examine(host, args, await desiredFiles(args));
    if (options.json === true) say(JSON.stringify(summary));
    else if (summary.steps.length === 0) say("Nothing to do.");
    else for (const [name, items] of Object.entries(summary)) say(`${name}: ${[items].join(", ")}`);
    return;
  }
  await deploy(host, args, say);
  say(`${args.project} runs at ${args.path} on ${host.name}.`);
}

/** A path as the user means it, who is elsewhere than this process. */
const fromCaller = (file: string): string => path.resolve(process.env["INIT_CWD"] ?? "", file);
const collect = (value: string, before: string[]): string[] => [...before, value];

/** What Jenkinsfile and the GitHub workflow call. */
export function createDeployCommand(): Command {
  return new Command("scripts/deploy")
    .description(
      "Brings the Compose project to a host over SSH: sync, compose up, health, smoke test; a project that fails gives way to the one before.",
    )
    .option("--host <[user@]host[:port]>", "where to", "deploy@192.168.122.250")
    .option("--key <file>", "the private key; default: what ssh uses by itself", fromCaller)
    .option(
      "--known-hosts <file>",
      "the host keys to trust; default: those of the user",
      fromCaller,
    )
    .option("--ssh-config <file>", "a file for `ssh -F`", fromCaller)
    .option("--path <path>", "the project's path there", "/home/deploy/lab/app")
    .option(
      "--folder <folder>",
      "the project here",
      fromCaller,
      path.join(checkout, "stacks/observability"),
    )
    .option("--stack <name>", "the Pulumi stack that the project belongs to", "observability")
    .option("--project <name>", "Compose's name of the project, at a first deployment", "lab")
    .option("--compose-file <file>", "in Compose's order; default: as on the host", collect, [])
    .option(
      "--set <NAME[=value]>",
      "a variable; without a value it is a secret out of the environment; default: as on the host",
      collect,
      [],
    )
    .option("--images <mode>", "pull, build or preload (which loads none here)", "pull")
    .option("--engine <source>", "distribution, docker or present", "present")
    .option("--timeout <seconds>", "for services to become healthy", "300")
    .option("--plan", "only tell what would be done; refuses a wrong configuration")
    .option("--smoke", "only ask the URLs, from here, until they answer well")
    .option("--url <url>", "for --smoke; default: the frontend", collect, [])
    .option("--json", "the plan as JSON; only with --plan")
    .addHelpText(
      "after",
      renderExamples([
        "scripts/deploy --host deploy@192.168.122.250 --key ~/.ssh/deploy --plan --json",
        "scripts/deploy --host deploy@192.168.122.250 --key ~/.ssh/deploy",
        "scripts/deploy --smoke --url http://192.168.122.250:8080/",
      ]),
    )
    .action(run);
}

if (import.meta.filename === process.argv[1]) await runCommand(createDeployCommand());
