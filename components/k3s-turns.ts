import * as pulumi from "@pulumi/pulumi";
import type { TurnNode } from "../providers/k3s-turn/core/arguments.ts";
import { K3sTurn, type K3sTurnArgs } from "../providers/k3s-turn/resource.ts";
import type { K3sRolloutArgs } from "../providers/k3s-cluster/resource.ts";
import { planTurnDisks, planTurnTrigger } from "./planning/k3s.ts";
import type { VirtualMachine, VirtualMachineArgs } from "./virtual-machine.ts";

export const addressOf = ({ networks }: Pick<VirtualMachineArgs, "networks">): string =>
  networks[0]?.address ?? "";

interface TurnsArgs {
  cluster: string;
  nodes: readonly { name: string; role: "server" | "agent"; machine: VirtualMachineArgs }[];
  upgrade: { maxUnavailable: number; drainTimeoutSeconds: number; nodeByNode: boolean };
  readyTimeoutSeconds: number;
  privateKey: pulumi.Output<string>;
}

interface Making {
  below: pulumi.CustomResourceOptions;
  /** Makes the machine of a node, whose disk and domain wait for the turn. */
  make: (name: string, machine: VirtualMachineArgs, turn?: K3sTurn) => VirtualMachine;
  /** What the cluster shall be, by the nodes' host keys. */
  settings: (hostKeys: readonly string[]) => K3sRolloutArgs;
}

/**
 * Makes the machines of nodes, which change one after the other; see K3sTurn.
 *
 * Each turn that waits keeps one of Pulumi's parallel operations busy. So nodes stand in a few rows: no
 * more of them ask at a time than may be away, and one that is next. Where they are made nobody waits.
 *
 * @returns the machines, and what is there when all of them are back.
 */
export function makeByTurns(
  { cluster, nodes, upgrade, readyTimeoutSeconds, privateKey }: TurnsArgs,
  { below, make, settings }: Making,
): { vms: VirtualMachine[]; back: K3sTurn[] } {
  const { maxUnavailable, drainTimeoutSeconds, nodeByNode } = upgrade;
  if (!nodeByNode) return { vms: nodes.map(({ name, machine }) => make(name, machine)), back: [] };
  // Turns come before the machines whose host keys they need to enter them.
  let tell: (vms: readonly VirtualMachine[]) => void = () => undefined;
  const machines = new Promise<readonly VirtualMachine[]>((resolve) => (tell = resolve));
  const hostKeys = pulumi.output(
    machines.then((vms) => pulumi.all(vms.map(({ hostPublicKey }) => hostPublicKey))),
  );
  const members = hostKeys.apply((keys) =>
    nodes.map((node, index): TurnNode => {
      const { name, role, machine } = node;
      const { user } = machine.login;
      const login = { address: addressOf(machine), user, hostPublicKey: keys[index] ?? "" };
      return { name, role, ...login, hypervisorUri: machine.hypervisor.uri };
    }),
  );
  const whole = hostKeys.apply((keys) => pulumi.output(settings(keys)));
  const turn = (
    { name, machine }: TurnsArgs["nodes"][number],
    side: K3sTurnArgs["side"],
    trigger: pulumi.Input<unknown>,
    before?: K3sTurn,
  ): K3sTurn =>
    new K3sTurn(
      `${name}-${side}`,
      {
        ...{ cluster, side, name, trigger, privateKey, nodes: members, settings: whole },
        ...(side === "leaves" && {
          disks: planTurnDisks([
            ...nodes.filter(({ role }) => role === "server"),
            { name, machine },
          ]),
        }),
        ...{ maxUnavailable, drainTimeoutSeconds, timeoutSeconds: readyTimeoutSeconds },
      },
      { ...below, ...(before !== undefined && { dependsOn: before }) },
    );
  const rows = Math.min(maxUnavailable, 3) + 1;
  const vms: VirtualMachine[] = [];
  const gone: K3sTurn[] = [];
  const back: K3sTurn[] = [];
  for (const [index, node] of nodes.entries()) {
    const trigger = pulumi
      .all([...node.machine.login.authorizedKeys])
      .apply((keys) => planTurnTrigger(node.role, node.machine, keys));
    const leaves = turn(node, "leaves", trigger, gone[index - rows]);
    const vm = make(node.name, node.machine, leaves);
    gone.push(leaves);
    vms.push(vm);
    // Who leaves must come back, also where no other domain came of it.
    back.push(turn(node, "returns", pulumi.all([vm.identity, trigger])));
  }
  tell(vms);
  return { vms, back };
}
