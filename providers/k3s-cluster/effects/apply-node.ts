import type { ClusterArguments, NodeArguments } from "../core/arguments.ts";
import { listArtifacts } from "../core/artifacts.ts";
import { listNodeFiles } from "../core/node-files.ts";
import { parseApplied, renderApply, renderFetch, sayMark } from "../core/node-script.ts";
import { runKubectl } from "./api.ts";
import { awaitNodes, guestOf, type Rollout, serverUrl } from "./at-work.ts";
import { patient, startDeadline } from "./guests.ts";
import { presignArtifacts, snapshotSettings } from "./object-store.ts";

/** What makes nodes what they shall be. */
export interface NodeApplier {
  /** Files, the binary, and k3s started with them. */
  apply: Rollout["apply"];
  /** Has a new node get its binary meanwhile. What fails is tried again, and told of, by `apply`. */
  prepare: (node: NodeArguments) => void;
}

export function nodeApplier(
  args: ClusterArguments,
  { guests, report }: Pick<Rollout, "guests" | "report">,
): NodeApplier {
  const snapshots = snapshotSettings(args);
  const prepared = new Map<string, Promise<unknown>>();
  const run = async (
    node: NodeArguments,
    purpose: string,
    render: (artifacts: ReturnType<typeof listArtifacts>) => string,
  ): Promise<string> => {
    const presigned = await presignArtifacts(args); // a rollout may last longer than they are good for
    const secrets = [
      ...[args.token, args.agentToken, ...Object.values(presigned)],
      ...(snapshots?.secrets ?? []),
    ];
    return guestOf({ guests }, node.name).run(render(listArtifacts(args, presigned)), {
      ...{ purpose, timeoutSeconds: args.timeoutSeconds, secrets },
      onLine: (line) => {
        if (line.startsWith(sayMark)) report(`${node.name}: ${line.slice(sayMark.length)}`);
      },
    });
  };
  const apply: Rollout["apply"] = async (node, membership, bounds) => {
    await prepared.get(node.name);
    const files = listNodeFiles(args, node, membership, snapshots?.content);
    const { certificateGeneration } = args;
    const output = await run(node, `make node "${node.name}" what it shall be`, (artifacts) =>
      renderApply({ node, files, artifacts, certificateGeneration, ...bounds }),
    );
    return parseApplied(output) ?? "same";
  };
  return {
    apply: (...words) => patient(apply, startDeadline(args.timeoutSeconds))(...words),
    prepare: (node) => {
      const work = run(node, `fetch what "${node.name}" needs`, (artifacts) =>
        renderFetch({ node, artifacts }),
      );
      prepared.set(
        node.name,
        work.catch(() => undefined),
      );
    },
  };
}

/** Deletes the Node of a machine whose disk was made anew; a server's place in etcd goes with it. */
export async function forgetNode(
  { guests, through, report }: Pick<Rollout, "guests" | "through" | "report">,
  name: string,
): Promise<void> {
  report(`${name} is a new machine: the Node of the old one is deleted`);
  await runKubectl(guestOf({ guests }, through.name), `delete the Node ${name}`, [
    ["delete", "node", name],
  ]);
}

/**
 * Has a node whose disk was made anew join its cluster again, and waits until it is as wished.
 *
 * @param isListed a Node of its name is there, which is the one before.
 */
export async function joinAnew(
  rollout: Rollout,
  node: NodeArguments,
  isListed: boolean,
): Promise<void> {
  if (isListed) await forgetNode(rollout, node.name);
  await rollout.apply(node, { kind: "joins", server: serverUrl(rollout.through) });
  await awaitNodes(rollout, [node]);
}
