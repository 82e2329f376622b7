import type { Guest } from "../../host/effects/host.ts";
import type { ClusterArguments, NodeArguments } from "../core/arguments.ts";
import { cordonMark } from "../core/observed.ts";
import type { Step } from "../core/plan.ts";
import { renderSqliteCopy } from "../core/snapshots.ts";
import { awaitAnswer, runKubectl } from "./api.ts";
import type { Deadline } from "./guests.ts";
import { saveSnapshot } from "./restore.ts";
import { renewEach, rotateToken } from "./tokens.ts";
import {
  awaitNodes,
  awaitRoom,
  guestOf,
  membershipOf,
  nodeOf,
  presentDatastore,
  renew,
  required,
  type Rollout,
  serverUrl,
} from "./at-work.ts";

/** Carries out one step. What a run that broke off had done of it already is left as it is. */
export async function runStep(rollout: Rollout, step: Step): Promise<void> {
  switch (step.kind) {
    case "found":
      await rollout.apply(rollout.through, { kind: "founds" });
      return;
    case "moveToEtcd":
      return renew(rollout, nodeOf(rollout, step.server));
    case "join":
      return join(rollout, step);
    case "remove":
      return remove(rollout, step.node);
    case "rotateToken":
      return rotateToken(rollout, step.servers);
    case "renewTokens":
    case "renewCertificates":
      return renewEach(
        rollout,
        step.nodes.map((name) => nodeOf(rollout, name)),
      );
    case "snapshot":
      return saveDatastore(
        throughOf(rollout),
        { version: rollout.args.version, datastore: await presentDatastore(rollout) },
        rollout.deadline,
      );
    case "upgradeServer":
      return upgradeServer(rollout, nodeOf(rollout, step.node));
    case "upgradeAgents":
      return upgradeAgents(
        rollout,
        step.nodes.map((name) => nodeOf(rollout, name)),
      );
    case "uncordon":
      return uncordon(rollout, step.nodes);
  }
}

const throughOf = (rollout: Rollout) => guestOf(rollout, rollout.through.name);

/** Agents all at once, each as soon as it can be entered; servers one by one, as etcd takes them. */
async function join(rollout: Rollout, step: Extract<Step, { kind: "join" }>): Promise<void> {
  const membership = { kind: "joins", server: serverUrl(rollout.through) } as const;
  const nodes = step.nodes.map((name) => nodeOf(rollout, name));
  if (step.role === "agent") {
    await Promise.all(
      nodes.map(async (node) => {
        await required(rollout.probes, node.name);
        await rollout.apply(node, membership);
      }),
    );
    return;
  }
  await awaitNodes(rollout, [rollout.through]);
  for (const node of nodes) {
    await rollout.apply(node, membership);
    await awaitNodes(rollout, [node]);
  }
}

/** Drains a node that answers, and deletes its Node. A server leaves etcd by that, too. */
async function remove(rollout: Rollout, name: string): Promise<void> {
  const guest = throughOf(rollout);
  const nodes = await awaitAnswer({ guest, deadline: rollout.deadline });
  const node = nodes.find((each) => each.name === name);
  if (node === undefined) return;
  if (node.ready) await drain(rollout, name);
  await runKubectl(guest, `delete the Node ${name}`, [
    ["delete", "node", name, "--ignore-not-found", "--timeout=60s"],
  ]);
}

/** Only for a node that is Ready: pods of one that is dead never say that they are gone. */
async function drain({ args, ...rollout }: Rollout, name: string): Promise<void> {
  const seconds = args.drainTimeoutSeconds;
  await runKubectl(
    throughOf({ args, ...rollout }),
    `drain node ${name} of its pods`,
    [
      ["annotate", "node", name, "--overwrite", `${cordonMark}=true`],
      [
        ...["drain", name, "--ignore-daemonsets", "--delete-emptydir-data"],
        `--timeout=${String(seconds)}s`,
      ],
    ],
    seconds + 60,
  );
}

async function uncordon(rollout: Rollout, names: readonly string[]): Promise<void> {
  const commands = names.flatMap((name) => [
    ["uncordon", name],
    ["annotate", "node", name, `${cordonMark}-`],
  ]);
  await runKubectl(throughOf(rollout), "let pods onto upgraded nodes", commands);
}

/**
 * Saves the datastore before an upgrade, by a server that answers.
 *
 * @throws GroundworkError `snapshot-not-stored`: then nothing is upgraded.
 */
export async function saveDatastore(
  guest: Guest,
  { version, datastore }: Pick<ClusterArguments, "version" | "datastore">,
  deadline: Deadline,
): Promise<void> {
  const name = `groundwork-before-${version.replaceAll("+", "-")}`;
  if (datastore === "etcd") await saveSnapshot({ guest }, name);
  else
    await guest.run(renderSqliteCopy(name), { purpose: "save the datastore", timeoutSeconds: 300 });
  await awaitAnswer({ guest, deadline });
}

/** Pods go on running while a server's k3s is another; only new ones are kept away meanwhile. */
async function upgradeServer(rollout: Rollout, node: NodeArguments): Promise<void> {
  await awaitRoom(rollout, [node.name]);
  await runKubectl(throughOf(rollout), `cordon ${node.name}`, [
    ["annotate", "node", node.name, "--overwrite", `${cordonMark}=true`],
    ["cordon", node.name],
  ]);
  await rollout.apply(node, await membershipOf(rollout, node));
  await awaitNodes(rollout, [node]);
  await uncordon(rollout, [node.name]);
}

async function upgradeAgents(rollout: Rollout, nodes: readonly NodeArguments[]): Promise<void> {
  const seen = await awaitRoom(
    rollout,
    nodes.map(({ name }) => name),
  );
  await Promise.all(
    nodes.map(async (node) => {
      if (seen.some(({ name, ready }) => name === node.name && ready))
        await drain(rollout, node.name);
      await rollout.apply(node, await membershipOf(rollout, node));
    }),
  );
  await awaitNodes(rollout, nodes);
  await uncordon(
    rollout,
    nodes.map(({ name }) => name),
  );
}
