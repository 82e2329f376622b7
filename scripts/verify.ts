import { InvalidArgumentError } from "commander";
import { openTarget } from "../providers/compose-project/effects/target.ts";
import { GroundworkError } from "../providers/errors.ts";
import { type CommonOptions, createCommand, runCommand } from "./lib/cli.ts";
import { type Context, readContext } from "./lib/context.ts";
import {
  type Check,
  judge,
  parseGuestProbe,
  planWanted,
  renderGuestProbe,
  type Sighting,
} from "./lib/verify-plan.ts";
import { runVirsh } from "./lib/virsh.ts";

interface Options extends CommonOptions {
  machine?: string;
  freeGb?: number;
}

/** What is to be verified: a machine of the stack, or the host that its lab names instead. */
interface Target {
  name: string;
  address?: string | undefined;
  /** For the provider's way to hosts. */
  host: string;
  /** libvirt's URI of its hypervisor; undefined for a host of its own. */
  hypervisorUri?: string | undefined;
  isMachine: boolean;
}

function selectTarget({ config, stack }: Context, named: string | undefined): Target {
  const uri = config.observability?.host;
  if (uri !== undefined && named === undefined) {
    const { hostname } = new URL(uri);
    return { name: hostname, host: uri, isMachine: false };
  }
  const name = named ?? config.observability?.machine ?? config.machines[0]?.name;
  const machine = config.machines.find((each) => each.name === name);
  if (machine === undefined)
    throw new GroundworkError({
      code: "unknown-machine",
      message:
        name === undefined
          ? `Stack ${stack} has no machine to verify.`
          : `Stack ${stack} has no machine "${name}".`,
      next: `Choose one of: ${config.machines.map((each) => each.name).join(", ")}.`,
    });
  const hypervisor = config.hypervisors.find((each) => each.name === machine.hypervisor);
  return {
    ...{ name: machine.name, address: machine.networks[0]?.address },
    ...{ host: `machine:${machine.name}`, hypervisorUri: hypervisor?.uri, isMachine: true },
  };
}

async function look(context: Context, target: Target): Promise<Sighting> {
  const { name, address, host: where } = target;
  const domain = target.isMachine ? await readDomain(target) : undefined;
  const common = {
    machine: name,
    ...(address && { address }),
    ...(domain !== undefined && { domain }),
  };
  const host = openTarget({ host: where, stack: context.stack });
  if (host === undefined)
    return { ...common, sshProblem: `there are no SSH files for ${name}; \`make up\` writes them` };
  const { hostname, port, protocol } = new URL(context.config.objectStore.endpoint);
  const usual = protocol === "https:" ? 443 : 80;
  const script = renderGuestProbe({ hostname, port: port === "" ? usual : Number(port) });
  try {
    const output = await host.run(script, { purpose: `verify ${name}`, timeoutSeconds: 60 });
    return { ...common, guest: parseGuestProbe(output) };
  } catch (error) {
    if (!(error instanceof GroundworkError)) throw error;
    return { ...common, sshProblem: error.message };
  }
}

async function readDomain({ name, hypervisorUri }: Target): Promise<Sighting["domain"]> {
  try {
    return { state: (await runVirsh(hypervisorUri, ["domstate", name])).trim() };
  } catch (error) {
    if (!(error instanceof GroundworkError)) throw error;
    return { problem: error.message };
  }
}

const gigabytes = (text: string): number => {
  if (/^[0-9]{1,6}(\.[0-9]+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a number, such as 10.");
};

const signs: Record<Check["status"], string> = { passed: "✓", failed: "✗", skipped: "–" };

async function verify(options: Options): Promise<void> {
  const context = await readContext(options.stack);
  const target = selectTarget(context, options.machine);
  const { observability } = context.config;
  const hasLab =
    observability !== undefined && (observability.machine === target.name || !target.isMachine);
  const isolated =
    target.isMachine &&
    target.hypervisorUri === undefined &&
    context.environment["GROUNDWORK_NETWORK_NAMESPACE"] !== undefined;
  const checks = judge(await look(context, target), {
    ...planWanted(hasLab ? observability.images : undefined, isolated),
    minimumFreeBytes: options.freeGb === undefined ? undefined : options.freeGb * 1e9,
  });
  const ok = checks.every(({ status }) => status !== "failed");
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ stack: context.stack, machine: target.name, ok, checks })}\n`,
    );
  else
    for (const { name, status, seen, next } of checks) {
      process.stdout.write(`${signs[status]} ${name.padEnd(8)} ${seen}\n`);
      if (next !== undefined) process.stdout.write(`           ${next}\n`);
    }
  if (!ok) process.exitCode = 1;
}

await runCommand(
  createCommand("verify", "Goes through the checklist of a machine; exits with 1 if one fails.", [
    "make verify STACK=observability",
    "make -s verify ARGS='--machine vm1 --json'",
  ])
    .option(
      "--machine <name>",
      "the machine; default: the one of the observability lab, else the first",
    )
    .option(
      "--free-gb <number>",
      "how much disk must be free, in GB; default: 10 where the observability lab runs, else 0.5",
      gigabytes,
    )
    .action(verify),
);
