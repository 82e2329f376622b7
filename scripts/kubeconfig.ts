import { InvalidArgumentError, Option } from "commander";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { stringify } from "yaml";
import type { ClusterConfig } from "../config.ts";
import { GroundworkError } from "../providers/errors.ts";
import { parseLibvirtUri } from "../providers/host/core/connection.ts";
import type { Guest } from "../providers/host/effects/host.ts";
import { type Access, accessName, accessRoles } from "../providers/k3s-cluster/core/access.ts";
import { renderKubeconfig } from "../providers/k3s-cluster/core/kubeconfig.ts";
import { grantAccess, revokeAccess } from "../providers/k3s-cluster/effects/access.ts";
import { readKubeconfig } from "../providers/k3s-cluster/effects/api.ts";
import { planRoute } from "../providers/machine-ready/core/ssh-config.ts";
import { answeringFirst, chooseCluster, openCluster } from "./lib/clusters.ts";
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
  renderExport,
  withServer,
  withToken,
} from "./lib/kubeconfig-plan.ts";

interface Options extends CommonOptions {
  cluster?: string;
  merge: boolean | string;
  remove: boolean;
  direct: boolean;
  role?: Access["role"];
  namespace?: string;
  ttl?: number;
}

interface Current {
  text: string;
  configFile: string;
  server: string;
  uri: string;
  /** The server that answered. */
  guest?: Guest;
}

/** The kubeconfig as a server has it now, for certificates are renewed; else as the last run saw it. */
async function readCurrent(
  context: Context,
  cluster: ClusterConfig,
  say: (line: string) => void,
): Promise<Current> {
  const { servers, configFile, apiHost, kubeconfig: stored } = await openCluster(context, cluster);
  let failure = "";
  for (const { name, guest, hypervisorUri } of await answeringFirst(servers))
    try {
      const text = await readKubeconfig(guest);
      return {
        text: renderKubeconfig(text, cluster.name, apiHost),
        ...{ configFile, server: name, uri: hypervisorUri, guest },
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

/** What a kubeconfig with less than the administrator's rights is to allow. */
function accessOf({ role, namespace, ttl }: Options): Access | undefined {
  if (role !== undefined) return { role, namespace };
  if (namespace === undefined && ttl === undefined) return undefined;
  throw new GroundworkError({
    code: "bad-option",
    message: "--ttl and --namespace are for a role only.",
    next: `Give --role ${accessRoles.join(", ")} with them.`,
  });
}

/** Cluster, user and context of a kubeconfig; a cluster's own name has no dot. */
const nameOf = (cluster: string, access: Access | undefined): string =>
  access === undefined ? cluster : `${cluster}.${accessName(access).replace("-", ".")}`;

/** Takes a kubeconfig back; the rights that came with it end in the cluster. */
async function remove(context: Context, options: Options): Promise<void> {
  const folder = kubeFolder(context.home, context.stack);
  const access = accessOf(options);
  const cluster = options.cluster ?? chooseCluster(context, undefined, "kubeconfig").name;
  const name = nameOf(cluster, access);
  if (access === undefined) await endTunnel({ folder, cluster });
  else {
    const { guest } = await readCurrent(
      context,
      chooseCluster(context, options.cluster, "kubeconfig"),
      () => undefined,
    );
    await revokeAccess(required(guest), access);
  }
  await fs.rm(path.join(folder, `${name}.yaml`), { force: true });
  const file = typeof options.merge === "string" ? options.merge : defaultKubeconfig();
  const text = removeFromKubeconfig(await readText(file), file, name, context.stack);
  if (text !== undefined) await writeSecret(file, text);
  const removed = text === undefined ? [] : [file];
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ cluster, context: name, removedFrom: removed })}\n`
      : `${name} is removed${text === undefined ? "" : ` from ${file}`}.\n`,
  );
}

function required(guest: Guest | undefined): Guest {
  if (guest !== undefined) return guest;
  throw new GroundworkError({
    code: "no-server",
    message: "No server of the cluster could be entered, and rights are given and taken there.",
    next: "See docs/k3s.md, The API is unreachable.",
  });
}

async function kubeconfig(options: Options): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const context = await readContext(options.stack);
  if (options.remove) return remove(context, options);
  const access = accessOf(options);
  const cluster = chooseCluster(context, options.cluster, "kubeconfig");
  const { text, configFile, server, uri, guest } = await readCurrent(context, cluster, say);
  const folder = kubeFolder(context.home, context.stack);
  const namespace = context.environment["GROUNDWORK_NETWORK_NAMESPACE"];
  const route = planRoute(parseLibvirtUri(uri), namespace);
  const name = nameOf(cluster.name, access);
  let config = parseClusterKubeconfig(text);
  const tunnelled = route.kind !== "direct" && !options.direct;
  if (tunnelled) {
    const port = await ensureTunnel({ configFile, server, folder, cluster: cluster.name });
    config = withServer(config, `https://127.0.0.1:${String(port)}`);
    say(`The API is behind the hypervisor: a tunnel leads there from 127.0.0.1:${String(port)}.`);
  }
  let expires: string | undefined;
  if (access !== undefined) {
    const granted = await grantAccess(required(guest), access, options.ttl ?? 3600);
    config = withToken(config, { name, token: granted.token, namespace: access.namespace });
    expires = new Date(granted.expires * 1000).toISOString();
    say(`It allows ${access.role} in ${access.namespace ?? "all namespaces"} until ${expires}.`);
    if (access.namespace === undefined && access.role !== "view")
      say("Who may create pods in kube-system can become administrator: give --namespace.");
  }
  const own = path.join(folder, `${name}.yaml`);
  await writeSecret(own, stringify(config, { lineWidth: 0 }));
  const merged = typeof options.merge === "string" ? options.merge : defaultKubeconfig();
  if (options.merge !== false) {
    const before = await readText(merged);
    await writeSecret(merged, mergeKubeconfig(before, merged, config, context.stack));
    say(`Context ${name} is in ${merged}.`);
  }
  const result = {
    ...{ cluster: cluster.name, context: name, file: own, tunnelled },
    ...(expires !== undefined && { expires }),
    ...(options.merge !== false && { merged }),
  };
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${renderExport(own)}\n`);
}

function namespaceName(text: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
  throw new InvalidArgumentError("It must be a namespace's name.");
}

/** `90m`, `8h`, `7d`: at least what the API gives, ten minutes. */
function timeToLive(text: string): number {
  const match = /^([0-9]{1,4})([mhd])$/.exec(text);
  const unit = { m: 60, h: 3600, d: 86_400 }[match?.[2] ?? ""] ?? 0;
  const seconds = Number(match?.[1] ?? 0) * unit;
  if (seconds >= 600 && seconds <= 365 * 86_400) return seconds;
  throw new InvalidArgumentError("It must be such as 30m, 8h or 7d, from 10m to 365d.");
}

await runCommand(
  createCommand("kubeconfig", "Writes the kubeconfig of a cluster, current certificates and all.", [
    'eval "$(make -s kubeconfig)"                 then kubectl get nodes',
    "make kubeconfig ARGS=--merge                 also as a context in ~/.kube/config",
    'make kubeconfig ARGS="--role view --ttl 8h"  for a while, and to look only',
    'make kubeconfig ARGS="--role edit --namespace web --remove"   ends those of that kind',
    "make kubeconfig ARGS=--remove                takes it back, and ends the tunnel",
  ])
    .option("--cluster <name>", "which cluster, where there are more")
    .option("--merge [file]", "add it to this kubeconfig, by default ~/.kube/config", false)
    .option("--remove", "remove it, from that file as well", false)
    .addOption(
      new Option("--role <role>", "with these rights instead of the administrator's").choices(
        accessRoles,
      ),
    )
    .option("--namespace <name>", "with --role: in this namespace only", namespaceName)
    .option("--ttl <time>", "with --role: how long it is good for (default: 1h)", timeToLive)
    .option("--direct", "no tunnel: the API can be reached from here", false)
    .action(kubeconfig),
);
