import * as pulumi from "@pulumi/pulumi";
import type { TurnNode } from "../providers/k3s-turn/core/arguments.ts";
import { K3sTurn, type K3sTurnArgs } from "../providers/k3s-turn/resource.ts";
import { planTurnTrigger } from "./planning/k3s.ts";
import type { VirtualMachine, VirtualMachineArgs } from "./virtual-machine.ts";

export const addressOf = ({ networks }: Pick<VirtualMachineArgs, "networks">): string =>
  networks[0]?.address ?? "";

interface TurnsArgs {
  nodes: readonly { name: string; role: "server" | "agent"; machine: VirtualMachineArgs }[];
  upgrade: { maxUnavailable: number; drainTimeoutSeconds: number; nodeByNode: boolean };
  readyTimeoutSeconds: number;
}

/** Nodes whose machines change in place do so one after the other; see K3sTurn. */
export function takeTurns(
  cluster: string,
  { nodes, upgrade, readyTimeoutSeconds }: TurnsArgs,
  privateKey: pulumi.Output<string>,
  below: pulumi.CustomResourceOptions,
): {
  leaves: (node: string, machine: VirtualMachineArgs) => K3sTurn | undefined;
  return: (vms: readonly VirtualMachine[]) => K3sTurn[];
} {
  const { maxUnavailable, drainTimeoutSeconds, nodeByNode } = upgrade;
  // Turns come before the machines whose host keys they need to enter them.
  let tell: (vms: readonly VirtualMachine[]) => void = () => undefined;
  const machines = new Promise<readonly VirtualMachine[]>((resolve) => (tell = resolve));
  const members = pulumi
    .output(machines.then((vms) => pulumi.all(vms.map(({ hostPublicKey }) => hostPublicKey))))
    .apply((keys) =>
      nodes.map((node, index): TurnNode => {
        const { name, role, machine } = node;
        const { user } = machine.login;
        const login = { address: addressOf(machine), user, hostPublicKey: keys[index] ?? "" };
        return { name, role, ...login, hypervisorUri: machine.hypervisor.uri };
      }),
    );
  const turn = (
    index: number,
    side: K3sTurnArgs["side"],
    trigger: pulumi.Input<unknown>,
  ): K3sTurn =>
    new K3sTurn(
      `${nodes[index]?.name ?? ""}-${side}`,
      {
        ...{ cluster, side, trigger, privateKey, nodes: members },
        node: members.apply((all) => all[index] as TurnNode),
        ...{ maxUnavailable, drainTimeoutSeconds, timeoutSeconds: readyTimeoutSeconds },
      },
      below,
    );
  const indexOf = (name: string): number => nodes.findIndex((node) => node.name === name);
  return {
    leaves: (node, machine) =>
      nodeByNode ? turn(indexOf(node), "leaves", planTurnTrigger(machine)) : undefined,
    return: (vms) => {
      tell(vms);
      return nodeByNode ? vms.map(({ identity }, index) => turn(index, "returns", identity)) : [];
    },
  };
}
