import { type ClusterConfig, planClusterNodes } from "../../config.ts";
import { GroundworkError } from "../../providers/errors.ts";
import { type Guest, openGuest } from "../../providers/host/effects/host.ts";
import { firstAnswer } from "../../providers/k3s-cluster/effects/first-answer.ts";
import { ensureSshFiles } from "../../providers/machine-ready/effects/ssh-files.ts";
import type { Context } from "./context.ts";
import { parseOutputs } from "./outputs.ts";
import { openStack } from "./stack.ts";

/** The cluster of that name; the only one where none is named. */
export function chooseCluster(
  { config, stack }: Pick<Context, "config" | "stack">,
  name: string | undefined,
  program: string,
): ClusterConfig {
  const names = config.clusters.map((each) => each.name);
  const found = config.clusters.find((each) => each.name === (name ?? names[0]));
  if (found !== undefined && (name !== undefined || names.length === 1)) return found;
  throw new GroundworkError({
    code: "unknown-cluster",
    message: `Stack ${stack} has ${names.length === 0 ? "no cluster" : `the clusters ${names.join(", ")}`}${name === undefined ? "" : `, and no "${name}"`}.`,
    next:
      names.length === 0
        ? "Describe one in groundwork:clusters of the stack file, or select another stack by STACK=name."
        : `Name one of them by --cluster=name in ARGS of \`make ${program}\`.`,
  });
}

export interface ClusterAccess {
  /** What `ssh -F` reads. */
  configFile: string;
  /** The API's address, as the configuration has it. */
  apiHost: string;
  /** As the last run saw it. */
  kubeconfig: string;
  /** In order, none of them entered yet. */
  servers: { name: string; address: string; hypervisorUri: string; guest: Guest }[];
}

/** How a cluster that exists is reached. @throws GroundworkError `no-cluster-yet`. */
export async function openCluster(
  context: Context,
  cluster: ClusterConfig,
): Promise<ClusterAccess> {
  const stack = await openStack(context, () => undefined);
  const { lab, ssh, kubeconfigs } = parseOutputs(await stack.outputs());
  const kubeconfig = kubeconfigs?.[cluster.name];
  const url = lab.clusters?.[cluster.name]?.apiUrl;
  if (ssh === undefined || kubeconfig === undefined || url === undefined)
    throw new GroundworkError({
      code: "no-cluster-yet",
      message: `Cluster "${cluster.name}" of stack ${context.stack} does not exist yet.`,
      next: "Run `make up`.",
    });
  const networkNamespace = context.environment["GROUNDWORK_NETWORK_NAMESPACE"];
  const { home } = context;
  const files = await ensureSshFiles({ home, stack: context.stack, ...ssh, networkNamespace });
  const servers = planClusterNodes(cluster).flatMap(({ role, machine: { name } }) => {
    const login = ssh.machines.find((each) => each.name === name);
    if (role !== "server" || login === undefined) return [];
    const { address, hypervisorUri } = login;
    return [{ name, address, hypervisorUri, guest: openGuest({ name, ...files }) }];
  });
  return { ...files, kubeconfig, apiHost: new URL(url).hostname, servers };
}

/** Servers in their order, but first one whose API answers, where one does. */
export async function answeringFirst<Server extends { guest: Guest }>(
  servers: readonly Server[],
): Promise<readonly Server[]> {
  const answer = await firstAnswer(servers, 30);
  if (answer === undefined) return servers;
  return [answer.server, ...servers.filter((each) => each !== answer.server)];
}
