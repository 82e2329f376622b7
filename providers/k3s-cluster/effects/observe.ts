import type { Guest } from "../../host/effects/host.ts";
import type { ClusterArguments } from "../core/arguments.ts";
import type { ObservedNode } from "../core/observed.ts";
import { readKubeconfig } from "./api.ts";
import { firstAnswer } from "./first-answer.ts";
import { openNodes } from "./guests.ts";

/** Preview waits no longer for a server that may be gone. */
const patienceSeconds = 20;

/** The nodes as one of the servers lists them; undefined where none answers. */
export async function observeCluster(
  args: ClusterArguments,
): Promise<readonly ObservedNode[] | undefined> {
  const servers = (await openServers(args)).map((guest) => ({ guest }));
  return (await firstAnswer(servers, patienceSeconds))?.nodes;
}

/** The kubeconfig of the first server that gives it. @throws GroundworkError of the last one. */
export async function readCurrentKubeconfig(args: ClusterArguments): Promise<string> {
  let failure: unknown = new Error("a cluster has a server");
  for (const guest of await openServers(args))
    try {
      return await readKubeconfig(guest);
    } catch (error) {
      failure = error;
    }
  throw failure;
}

async function openServers(args: ClusterArguments): Promise<readonly Guest[]> {
  const servers = args.nodes.filter(({ role }) => role === "server");
  return [...(await openNodes(args, servers)).values()];
}
