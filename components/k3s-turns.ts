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

/**
 * Makes the machines of nodes, which change in place one after the other; see K3sTurn.
 *
 * Each turn that waits keeps one of Pulumi's parallel operations busy. So nodes stand in a few rows: no
 * more of them ask at a time than may be away, and one that is next.
 *
 * @param make makes the machine of a node, whose domain waits for the turn.
 * @returns the machines, and what is there when all of them are back.
 */
export function makeByTurns(
  cluster: string,
  { nodes, upgrade, readyTimeoutSeconds }: TurnsArgs,
  privateKey: pulumi.Output<string>,
  below: pulumi.CustomResourceOptions,
  make: (name: string, machine: VirtualMachineArgs, turn?: K3sTurn) => VirtualMachine,
): { vms: VirtualMachine[]; back: K3sTurn[] } {
  const { maxUnavailable, drainTimeoutSeconds, nodeByNode } = upgrade;
  if (!nodeByNode) return { vms: nodes.map(({ name, machine }) => make(name, machine)), back: [] };
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
    name: string,
    side: K3sTurnArgs["side"],
    trigger: pulumi.Input<unknown>,
    before?: K3sTurn,
  ): K3sTurn =>
    new K3sTurn(
      `${name}-${side}`,
      {
        ...{ cluster, side, name, trigger, privateKey, nodes: members },
        ...{ maxUnavailable, drainTimeoutSeconds, timeoutSeconds: readyTimeoutSeconds },
      },
      { ...below, ...(before !== undefined && { dependsOn: before }) },
    );
  const rows = Math.min(maxUnavailable, 3) + 1;
  const vms: VirtualMachine[] = [];
  const back: K3sTurn[] = [];
  for (const [index, { name, machine }] of nodes.entries()) {
    const leaves = turn(name, "leaves", planTurnTrigger(machine), back[index - rows]);
    const vm = make(name, machine, leaves);
    vms.push(vm);
    back.push(turn(name, "returns", vm.identity));
  }
  tell(vms);
  return { vms, back };
}
