import type { ClusterArguments } from "../core/arguments.ts";
import type { ObservedNode } from "../core/observed.ts";
import { readApi, readKubeconfig } from "./api.ts";
import { openNodes } from "./guests.ts";

/** Preview waits no longer for a server that may be gone. */
const patienceSeconds = 20;

/** The nodes as any of the servers lists them; undefined where none answers. */
export async function observeCluster(
  args: ClusterArguments,
): Promise<readonly ObservedNode[] | undefined> {
  const servers = args.nodes.filter(({ role }) => role === "server");
  const guests = await openNodes(args, servers);
  for (const guest of guests.values()) {
    const sighting = await readApi(guest, patienceSeconds);
    if (sighting.kind === "answers") return sighting.nodes;
  }
  return undefined;
}

/** The kubeconfig of the first server that gives it. @throws GroundworkError of the last one. */
export async function readCurrentKubeconfig(args: ClusterArguments): Promise<string> {
  const servers = args.nodes.filter(({ role }) => role === "server");
  const guests = [...(await openNodes(args, servers)).values()];
  let failure: unknown = new Error("a cluster has a server");
  for (const guest of guests)
    try {
      return await readKubeconfig(guest);
    } catch (error) {
      failure = error;
    }
  throw failure;
}
