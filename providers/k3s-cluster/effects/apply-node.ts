import type { ClusterArguments } from "../core/arguments.ts";
import { listArtifacts } from "../core/artifacts.ts";
import { listNodeFiles } from "../core/node-files.ts";
import { parseApplied, renderApply, sayMark } from "../core/node-script.ts";
import { runKubectl } from "./api.ts";
import { guestOf, type Rollout } from "./at-work.ts";
import { patient, startDeadline } from "./guests.ts";
import { presignArtifacts, snapshotSettings } from "./object-store.ts";

/**
 * What makes a node what it shall be: its files, the binary, and k3s started with them.
 *
 * @param restored the name of a server without data that begins with a snapshot.
 */
export function nodeApplier(
  args: ClusterArguments,
  { guests, report }: Pick<Rollout, "guests" | "report">,
  restored?: string,
): Rollout["apply"] {
  const snapshots = snapshotSettings(args);
  const { restoreFrom } = args;
  const apply: Rollout["apply"] = async (node, membership) => {
    const presigned = await presignArtifacts(args); // a rollout may last longer than they are good for
    const artifacts = listArtifacts(args, presigned);
    const secrets = [
      ...[args.token, args.agentToken, ...Object.values(presigned)],
      ...(snapshots?.secrets ?? []),
    ];
    const files = listNodeFiles(args, node, membership, snapshots?.content);
    const output = await guestOf({ guests }, node.name).run(
      renderApply({ node, files, artifacts, ...(restored === node.name && { restoreFrom }) }),
      {
        purpose: `make node "${node.name}" what it shall be`,
        timeoutSeconds: args.timeoutSeconds,
        secrets,
        onLine: (line) => {
          if (line.startsWith(sayMark)) report(`${node.name}: ${line.slice(sayMark.length)}`);
        },
      },
    );
    return parseApplied(output) ?? "same";
  };
  return (...words) => patient(apply, startDeadline(args.timeoutSeconds))(...words);
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
