import * as fs from "node:fs/promises";
import * as path from "node:path";
import { stringify } from "yaml";
import type { ClusterConfig } from "../config.ts";
import { GroundworkError } from "../providers/errors.ts";
import { parseLibvirtUri } from "../providers/host/core/connection.ts";
import { renderKubeconfig } from "../providers/k3s-cluster/core/kubeconfig.ts";
import { readKubeconfig } from "../providers/k3s-cluster/effects/api.ts";
import { planRoute } from "../providers/machine-ready/core/ssh-config.ts";
import { chooseCluster, openCluster } from "./lib/clusters.ts";
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

interface Options extends CommonOptions {
  cluster?: string;
  merge: boolean | string;
  remove: boolean;
  direct: boolean;
}

interface Current {
  text: string;
  configFile: string;
  server: string;
  uri: string;
}

/** The kubeconfig as a server has it now, for certificates are renewed; else as the last run saw it. */
async function readCurrent(
  context: Context,
  cluster: ClusterConfig,
  say: (line: string) => void,
): Promise<Current> {
  const { servers, configFile, apiHost, kubeconfig: stored } = await openCluster(context, cluster);
  let failure = "";
  for (const { name, guest, hypervisorUri } of servers)
    try {
      const text = await readKubeconfig(guest);
      return {
        text: renderKubeconfig(text, cluster.name, apiHost),
        ...{ configFile, server: name, uri: hypervisorUri },
      };
    } catch (error) {
      if (!(error instanceof GroundworkError)) throw error;
      failure = error.message;
    }
  say(`No server could be entered, so this is what the last run saw. ${failure}`);
  const [first] = servers;
  const place = { server: first?.name ?? "", uri: first?.hypervisorUri ?? "" };
  return { text: stored, configFile, ...place };
}

async function remove(context: Context, options: Options): Promise<void> {
  const folder = kubeFolder(context.home, context.stack);
  const cluster = options.cluster ?? chooseCluster(context, undefined, "kubeconfig").name;
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
  const cluster = chooseCluster(context, options.cluster, "kubeconfig");
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
