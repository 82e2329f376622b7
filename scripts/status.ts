import { type CommonOptions, createCommand, runCommand } from "./lib/cli.ts";
import { readContext } from "./lib/context.ts";
import { parseOutputs, type SshOutput } from "./lib/outputs.ts";
import { openStack, readStacks } from "./lib/stack.ts";
import { formatTable } from "./lib/units.ts";
import { runVirsh } from "./lib/virsh.ts";

/** libvirt's word for what a domain does, such as `running`; "unknown" is said with its reason. */
async function readState({ name, hypervisorUri }: SshOutput["machines"][number]): Promise<string> {
  try {
    return (await runVirsh(hypervisorUri, ["domstate", name])).trim();
  } catch (error) {
    return `unknown (${(error as Error).message})`;
  }
}

async function status(options: CommonOptions): Promise<void> {
  const context = await readContext(options.stack);
  const exists = (await readStacks(context)).includes(context.stack);
  const outputs = exists
    ? parseOutputs(await (await openStack(context, () => undefined)).outputs())
    : undefined;
  const machines = await Promise.all(
    (outputs?.ssh?.machines ?? []).map(async (login) => ({
      ...outputs?.lab.machines[login.name],
      name: login.name,
      hypervisor: login.hypervisorUri,
      state: await readState(login),
    })),
  );
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ stack: context.stack, machines })}\n`);
    return;
  }
  const lines =
    machines.length === 0
      ? [`Stack ${context.stack} has no machines; \`make up\` makes them.`]
      : formatTable([
          ["MACHINE", "STATE", "ADDRESS", "SSH"],
          ...machines.map(({ name, state, addresses, sshCommand }) => [
            name,
            state,
            addresses?.join(", ") ?? "",
            sshCommand ?? "",
          ]),
        ]);
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

await runCommand(
  createCommand("status", "Shows the machines of a stack, what they do and how to reach them.", [
    "make status",
    "make -s status ARGS=--json",
  ]).action(status),
);
