import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { planK3sConfig } from "../../components/planning/k3s.ts";
import type { ClusterArguments } from "../../providers/k3s-cluster/core/arguments.ts";
import { openNodes } from "../../providers/k3s-cluster/effects/guests.ts";
import type { ServerAccess } from "../../providers/k3s-cluster/effects/restore.ts";
import { check, create, update } from "../../providers/k3s-cluster/provider.ts";
import type { TurnArguments } from "../../providers/k3s-turn/core/arguments.ts";
import { update as takeTurn } from "../../providers/k3s-turn/provider.ts";
import { type Properties, UnfinishedUpdate } from "../../providers/handler.ts";
import { pins } from "../../scripts/lib/tools-pins.ts";
import { toolPaths } from "../../scripts/lib/tools-paths.ts";
import { makeScratch, type Scratch } from "./scratch.ts";
import { SystemLan, SystemMachine } from "./system-machine.ts";

export interface Member {
  name: string;
  version: string;
  ready: boolean;
}

/** What changes between one `up` and the next. */
export interface Wish {
  version: string;
  /** Nodes by name, servers first; the others stay out of it. */
  nodes: readonly string[];
  /** What else is otherwise. */
  changes?: Partial<ClusterArguments>;
  /** Beside what every server has in its configuration. */
  serverConfig?: Record<string, unknown>;
}

const sha256 = (file: string): string =>
  createHash("sha256").update(fs.readFileSync(file)).digest("hex");

/**
 * A cluster of machines of namespaces, made by the provider's own handler as Pulumi calls it. Pods do
 * not run there: the kubelets have no control groups, and the machine no CNI plug-ins.
 *
 * Needs what SystemMachine does, and ["netcat", "containerd", "k3s"].
 */
export class SystemCluster {
  readonly #lan = new SystemLan("10.99.7.1/24");
  readonly #home: Scratch = makeScratch("home");
  readonly machines: ReadonlyMap<string, SystemMachine>;
  #state: { id: string; outs: Properties; inputs: Properties } | undefined;

  readonly #roles: Readonly<Record<string, "server" | "agent">>;

  /** @param roles of all nodes there will ever be, by name. */
  constructor(roles: Readonly<Record<string, "server" | "agent">>) {
    this.#roles = roles;
    this.machines = new Map(
      Object.keys(roles).map((name, index) => [
        name,
        new SystemMachine(this.#lan, name, `10.99.7.${String(11 + index)}`),
      ]),
    );
  }

  machine(name: string): SystemMachine {
    const found = this.machines.get(name);
    if (found === undefined) throw new Error(`no machine is called ${name}`);
    return found;
  }

  async ready(): Promise<void> {
    await this.#lan.ready();
    process.env["GROUNDWORK_HOME"] = this.#home.folder;
    process.env["GROUNDWORK_NETWORK_NAMESPACE"] = this.#lan.path;
  }

  /** The steps that preview shows. */
  async preview(wish: Wish): Promise<string[]> {
    const { inputs, failures } = await check(this.#state?.inputs ?? {}, this.#arguments(wish));
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    return inputs["plan"] as string[];
  }

  /** What `pulumi up` does with the cluster. */
  async up(wish: Wish): Promise<{ members: Member[]; timings: Record<string, number> }> {
    const { inputs, failures } = await check(this.#state?.inputs ?? {}, this.#arguments(wish));
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
    if (this.#state === undefined) this.#state = { ...(await create(inputs)), inputs };
    else
      try {
        const { outs } = await update(this.#state.id, this.#state.outs, inputs);
        this.#state = { ...this.#state, outs, inputs };
      } catch (error) {
        if (!(error instanceof UnfinishedUpdate)) throw error;
        this.#state = { ...this.#state, outs: error.outs, inputs };
        throw error.cause;
      }
    return this.#state.outs as unknown as { members: Member[]; timings: Record<string, number> };
  }

  kubectl(server: string, args: string): Promise<string> {
    return this.machine(server).run(`k3s kubectl ${args}`);
  }

  /** Servers as scripts enter them. */
  async enter(names: readonly string[]): Promise<ServerAccess[]> {
    const nodes = names.map((name) => this.#node(name));
    const guests = await openNodes({ stack: "test", privateKey: this.#lan.privateKey }, nodes);
    return nodes.flatMap(({ name, address }) => {
      const guest = guests.get(name);
      return guest === undefined ? [] : [{ name, address, guest }];
    });
  }

  /**
   * What Pulumi does with a node's turn when its machine is to change, or has changed.
   *
   * @param rewritten the nodes whose disks are written anew; none: they stay.
   */
  async turn(
    name: string,
    side: "leaves" | "returns",
    wish: Wish,
    rewritten: readonly string[] = [],
  ): Promise<void> {
    const all = wish.nodes.map((each) => {
      const { name, role, address, user, hostPublicKey, hypervisorUri } = this.#node(each);
      return { name, role, address, user, hostPublicKey, hypervisorUri };
    });
    const settings = this.#arguments(wish) as unknown as ClusterArguments;
    const args: Omit<TurnArguments, "trigger"> = {
      ...{ stack: "test", cluster: "kube", side, nodes: all, maxUnavailable: 1 },
      name,
      ...{ privateKey: this.#lan.privateKey, drainTimeoutSeconds: 60, timeoutSeconds: 300 },
      settings: { ...settings, nodes: settings.nodes.map((node) => ({ ...node, machine: "" })) },
    };
    const disks = (id: string): Record<string, string> =>
      Object.fromEntries(wish.nodes.map((each) => [each, rewritten.includes(each) ? id : "same"]));
    await takeTurn(
      "",
      { ...args, trigger: "small", diskIds: disks("old") },
      { ...args, trigger: rewritten.length > 0 ? "small" : "large", diskIds: disks("new") },
    );
  }

  /** Path of the network namespace, in which this machine is 10.99.7.1. */
  get network(): string {
    return this.#lan.path;
  }

  #arguments({ version, nodes, changes, serverConfig = {} }: Wish): Properties {
    const { k3s, "k3s-before": before } = toolPaths(process.env);
    const path = version === pins.k3s ? k3s : before;
    const args: ClusterArguments = {
      ...{ stack: "test", cluster: "kube", version, datastore: "etcd", waitForReady: true },
      ...{ coreDns: false, binary: { from: "image", path, sha256: sha256(path) } },
      ...{ apiAddress: "10.99.7.11", maxUnavailable: 1 },
      ...{ privateKey: this.#lan.privateKey, token: "servers-secret", agentToken: "agents-secret" },
      ...{ drainTimeoutSeconds: 60, timeoutSeconds: 300 },
      nodes: nodes
        .map((name) => this.#node(name))
        .map((node) =>
          node.role === "server" ? { ...node, config: { ...node.config, ...serverConfig } } : node,
        ),
    };
    return { ...args, ...changes };
  }

  #node(name: string): ClusterArguments["nodes"][number] {
    const { address, hostPublicKey } = this.machine(name);
    const node = { name, role: this.#roles[name] ?? "agent", address, labels: {}, taints: [] };
    const wish = {
      ...({ name: "kube", version: "", tlsSans: [], cni: "vxlan", disable: [] } as const),
      ...{ clusterCidr: "10.42.0.0/16", serviceCidr: "10.43.0.0/16", secretsEncryption: true },
      snapshots: { schedule: "0 */12 * * *", retention: 5 },
      // A control group for the pods of each node would be one for all of them here.
      kubeletArgs: ["cgroups-per-qos=false", "enforce-node-allocatable="],
    };
    return {
      ...{ ...node, taints: [...node.taints], user: "root", hostPublicKey, hasRoute: false },
      hypervisorUri: "qemu+unix:///system?socket=/none",
      machine: hostPublicKey,
      config: planK3sConfig(wish, node, "etcd"),
    };
  }

  remove(): void {
    delete process.env["GROUNDWORK_HOME"];
    delete process.env["GROUNDWORK_NETWORK_NAMESPACE"];
    for (const machine of this.machines.values()) machine.remove();
    this.#lan.remove();
    this.#home.remove();
  }
}
