import * as fs from "node:fs/promises";
import * as path from "node:path";
import { stringify } from "yaml";
import { type ClusterConfig, planClusterNodes } from "../config.ts";
import { GroundworkError } from "../providers/errors.ts";
import { parseLibvirtUri } from "../providers/host/core/connection.ts";
import { openGuest } from "../providers/host/effects/host.ts";
import { renderKubeconfig } from "../providers/k3s-cluster/core/kubeconfig.ts";
import { planRoute } from "../providers/machine-ready/core/ssh-config.ts";
import { ensureSshFiles } from "../providers/machine-ready/effects/ssh-files.ts";
import { type CommonOptions, createCommand, runCommand } from "./lib/cli.ts";
import { type Context, readContext } from "./lib/context.ts";
import {
  defaultKubeconfig,
  endTunnel,
  ensureTunnel,
  kubeFolder,
  readText,
  writeSecret,
} from "./lib/kube-files.ts";
import {
  mergeKubeconfig,
  parseClusterKubeconfig,
  removeFromKubeconfig,
  withServer,
} from "./lib/kubeconfig-plan.ts";
import { parseOutputs } from "./lib/outputs.ts";
import { openStack } from "./lib/stack.ts";

interface Options extends CommonOptions {
  cluster?: string;
  merge: boolean | string;
  remove: boolean;
  direct: boolean;
}

function chooseCluster({ config, stack }: Context, name: string | undefined): ClusterConfig {
  const names = config.clusters.map((each) => each.name);
  const found = config.clusters.find((each) => each.name === (name ?? names[0]));
  if (found !== undefined && (name !== undefined || names.length === 1)) return found;
  throw new GroundworkError({
    code: "unknown-cluster",
    message: `Stack ${stack} has ${names.length === 0 ? "no cluster" : `the clusters ${names.join(", ")}`}${name === undefined ? "" : `, and no "${name}"`}.`,
    next: "Name one of them: make kubeconfig ARGS=--cluster=name.",
  });
}

/** The kubeconfig as a server has it now, for certificates are renewed; else as the last run saw it. */
async function readCurrent(
  context: Context,
  cluster: ClusterConfig,
  say: (line: string) => void,
): Promise<{ text: string; configFile: string; server: string; uri: string }> {
  const stack = await openStack(context, () => undefined);
  const { lab, ssh, kubeconfigs } = parseOutputs(await stack.outputs());
  const stored = kubeconfigs?.[cluster.name];
  const url = lab.clusters?.[cluster.name]?.apiUrl;
  if (ssh === undefined || stored === undefined || url === undefined)
    throw new GroundworkError({
      code: "no-cluster-yet",
      message: `Cluster "${cluster.name}" of stack ${context.stack} does not exist yet.`,
      next: "Run `make up`.",
    });
  const networkNamespace = context.environment["GROUNDWORK_NETWORK_NAMESPACE"];
  const { home } = context;
  const files = await ensureSshFiles({ home, stack: context.stack, ...ssh, networkNamespace });
  const servers = planClusterNodes(cluster).filter(({ role }) => role === "server");
  let failure = "";
  for (const { machine } of servers)
    try {
      const guest = openGuest({ name: machine.name, ...files });
      const purpose = "read the kubeconfig";
      const text = await guest.run("cat /etc/rancher/k3s/k3s.yaml", {
        purpose,
        timeoutSeconds: 30,
      });
      const login = ssh.machines.find(({ name }) => name === machine.name);
      return {
        text: renderKubeconfig(text, cluster.name, new URL(url).hostname),
        ...{ ...files, server: machine.name, uri: login?.hypervisorUri ?? "" },
      };
    } catch (error) {
      if (!(error instanceof GroundworkError)) throw error;
      failure = error.message;
    }
  say(`No server could be entered, so this is what the last run saw. ${failure}`);
  const [first] = servers;
  const login = ssh.machines.find(({ name }) => name === first?.machine.name);
  const place = { server: first?.machine.name ?? "", uri: login?.hypervisorUri ?? "" };
  return { text: stored, ...files, ...place };
}

async function remove(context: Context, options: Options): Promise<void> {
  const folder = kubeFolder(context.home, context.stack);
  const cluster = options.cluster ?? chooseCluster(context, undefined).name;
  await endTunnel({ folder, cluster });
  await fs.rm(path.join(folder, `${cluster}.yaml`), { force: true });
  const file = typeof options.merge === "string" ? options.merge : defaultKubeconfig();
  const text = removeFromKubeconfig(await readText(file), file, cluster);
  if (text !== undefined) await writeSecret(file, text);
  const removed = text === undefined ? [] : [file];
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ cluster, removedFrom: removed })}\n`
      : `${cluster} is removed${text === undefined ? "" : ` from ${file}`}.\n`,
  );
}

async function kubeconfig(options: Options): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const context = await readContext(options.stack);
  if (options.remove) return remove(context, options);
  const cluster = chooseCluster(context, options.cluster);
  const { text, configFile, server, uri } = await readCurrent(context, cluster, say);
  const folder = kubeFolder(context.home, context.stack);
  const namespace = context.environment["GROUNDWORK_NETWORK_NAMESPACE"];
  const route = planRoute(parseLibvirtUri(uri), namespace);
  let config = parseClusterKubeconfig(text);
  const tunnelled = route.kind !== "direct" && !options.direct;
  if (tunnelled) {
    const port = await ensureTunnel({ configFile, server, folder, cluster: cluster.name });
    config = withServer(config, `https://127.0.0.1:${String(port)}`);
    say(`The API is behind the hypervisor: a tunnel leads there from 127.0.0.1:${String(port)}.`);
  }
  const own = path.join(folder, `${cluster.name}.yaml`);
  await writeSecret(own, stringify(config, { lineWidth: 0 }));
  const merged = typeof options.merge === "string" ? options.merge : defaultKubeconfig();
  if (options.merge !== false) {
    const before = await readText(merged);
    await writeSecret(merged, mergeKubeconfig(before, merged, config, context.stack));
    say(`Context ${cluster.name} is in ${merged}.`);
  }
  const result = {
    ...{ cluster: cluster.name, context: cluster.name, file: own, tunnelled },
    ...(options.merge !== false && { merged }),
  };
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `export KUBECONFIG=${own}\n`);
}

await runCommand(
  createCommand("kubeconfig", "Writes the kubeconfig of a cluster, current certificates and all.", [
    'eval "$(make -s kubeconfig)"                 then kubectl get nodes',
    "make kubeconfig ARGS=--merge                 also as a context in ~/.kube/config",
    "make kubeconfig ARGS=--remove                takes it back, and ends the tunnel",
  ])
    .option("--cluster <name>", "which cluster, where there are more")
    .option("--merge [file]", "add it to this kubeconfig, by default ~/.kube/config", false)
    .option("--remove", "remove it, from that file as well", false)
    .option("--direct", "no tunnel: the API can be reached from here", false)
    .action(kubeconfig),
);
