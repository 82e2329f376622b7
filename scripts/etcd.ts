import { type Command, InvalidArgumentError } from "commander";
import { GroundworkError } from "../providers/errors.ts";
import type { EtcdSnapshot } from "../providers/k3s-cluster/core/restore.ts";
import {
  readSnapshots,
  restoreCluster,
  saveSnapshot,
} from "../providers/k3s-cluster/effects/restore.ts";
import { type CommonOptions, createCommand, progressFor, runCommand } from "./lib/cli.ts";
import { answeringFirst, chooseCluster, type ClusterAccess, openCluster } from "./lib/clusters.ts";
import { confirm } from "./lib/confirm.ts";
import { readContext } from "./lib/context.ts";
import { buildRows, chooseRow, describeRows, type SnapshotRow } from "./lib/etcd-report.ts";

interface Options extends CommonOptions {
  cluster?: string;
  server?: string;
  without?: string[];
  yes?: boolean;
  timeout?: number;
}

interface Access extends ClusterAccess {
  cluster: string;
}

function print({ json, stack }: Options, result: object, lines: readonly string[]): void {
  process.stdout.write(
    json ? `${JSON.stringify({ stack, ...result })}\n` : lines.map((line) => `${line}\n`).join(""),
  );
}

async function openAccess(options: Options): Promise<Access> {
  const context = await readContext(options.stack);
  const cluster = chooseCluster(context, options.cluster, "etcd");
  return { cluster: cluster.name, ...(await openCluster(context, cluster)) };
}

/** What each server can be restored from; one that cannot be asked is told of. */
async function readRows(
  { servers }: Access,
  report: (line: string) => void,
): Promise<SnapshotRow[]> {
  const found = await Promise.all(
    servers.map(async (server): Promise<{ server: string; snapshots: EtcdSnapshot[] }> => {
      try {
        return { server: server.name, snapshots: await readSnapshots(server) };
      } catch (error) {
        if (!(error instanceof GroundworkError)) throw error;
        report(`${server.name} is left out: ${error.message}`);
        return { server: server.name, snapshots: [] };
      }
    }),
  );
  return buildRows(found);
}

async function list(options: Options): Promise<void> {
  const access = await openAccess(options);
  const rows = await readRows(access, (line) => process.stderr.write(`${line}\n`));
  print(options, { cluster: access.cluster, snapshots: rows }, describeRows(rows));
}

async function save(options: Options, name = "on-demand"): Promise<void> {
  const access = await openAccess(options);
  const [server] = await answeringFirst(access.servers);
  if (server === undefined) throw new Error("a cluster has a server");
  const { phase, report } = progressFor(options);
  await phase(`Saving etcd of ${access.cluster}`, () => saveSnapshot(server, name));
  const rows = (await readRows(access, report)).filter((row) => row.name.startsWith(`${name}-`));
  const taken = rows.at(-1)?.name;
  const saved = rows.filter((row) => row.name === taken);
  print(options, { cluster: access.cluster, saved }, describeRows(saved));
}

async function restore(options: Options, name = ""): Promise<void> {
  const { without = [] } = options;
  const whole = await openAccess(options);
  const { cluster } = whole;
  const servers = whole.servers.filter((server) => !without.includes(server.name));
  for (const each of without)
    if (!whole.servers.some((server) => server.name === each)) throw unknownServer(each, whole);
  const access = { ...whole, servers };
  const { phase, report } = progressFor(options);
  const rows = await phase("Looking at snapshots", () => readRows(access, report));
  const { row, on } = chooseRow(rows, name, options.server);
  const chosen = servers.find((server) => server.name === on);
  if (chosen === undefined) throw new Error(`no server is called ${on}`);
  if (options.yes !== true)
    await confirm(
      `Cluster ${cluster} of stack ${options.stack} will be as it was at ${new Date(row.takenSeconds * 1000).toISOString()}, on ${on}; its other servers join that one. What was changed since is lost.`,
      cluster,
    );
  await phase(`Restoring ${cluster} to ${name}`, () =>
    restoreCluster({
      ...{ snapshot: row, on: chosen, report, timeoutSeconds: options.timeout ?? 1800 },
      others: servers.filter((server) => server !== chosen),
    }),
  );
  print(options, { cluster, restored: name, on }, [
    `${cluster} is as it was in ${name}. \`make up\` brings its nodes to what the stack file says.`,
  ]);
}

function unknownServer(name: string, { cluster, servers }: Access): GroundworkError {
  return new GroundworkError({
    code: "unknown-server",
    message: `Cannot leave out "${name}": cluster ${cluster} has no server of that name.`,
    next: `Choose from: ${servers.map((server) => server.name).join(", ")}.`,
  });
}

const seconds = (text: string): number => {
  if (/^[0-9]{2,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a number of seconds, 10 or more.");
};

const program = createCommand("etcd", "Snapshots of a cluster's etcd, and the way back to one.", [
  'make etcd ARGS="list"',
  'make etcd ARGS="save before-cleaning"',
  'make etcd ARGS="restore etcd-snapshot-cp1-1767225600"        asks first',
  'make etcd ARGS="restore etcd-snapshot-cp1-1767225600 --yes"  again, also after it broke off',
  'make etcd ARGS="restore etcd-snapshot-cp1-1767225600 --without cp3"  where cp3 is lost',
]).option("--cluster <name>", "which cluster, where there are more");

/** Hands an action the options of all programs beside its own, then its arguments. */
const run =
  (action: (options: Options, ...names: string[]) => Promise<void>) =>
  (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    return action(command.optsWithGlobals(), ...command.args);
  };

program
  .command("list")
  .description("Lists snapshots on the servers' disks and in the object store, the oldest first.")
  .action(run(list));
program
  .command("save")
  .description(
    "Takes one, on a server whose API answers, and into the object store where one is configured.",
  )
  .argument("[name]", "begins its name; default: on-demand")
  .action(run(save));
program
  .command("restore")
  .description(
    "Brings a cluster back to a snapshot. Pods go on running; what changed since is lost.",
  )
  .argument("<snapshot>", "its name, as list shows it")
  .option("--server <name>", "the server to restore on (default: one that has it)")
  .option(
    "--without <names...>",
    "servers that are lost: k3s must not run there, and they need a new disk to join again",
  )
  .option("--timeout <seconds>", "how long all of it may take (default: 1800)", seconds)
  .option("--yes", "do not ask")
  .action(run(restore));

await runCommand(program);
