import type { ClusterArguments } from "../core/arguments.ts";
import type { ApiSighting, ObservedNode } from "../core/observed.ts";
import { readApi, readKubeconfig } from "./api.ts";
import { openNodes } from "./guests.ts";

/** Preview waits no longer for a server that may be gone. */
const patienceSeconds = 20;

/** The nodes as any of the servers lists them, which are asked at once; undefined where none answers. */
export async function observeCluster(
  args: ClusterArguments,
): Promise<readonly ObservedNode[] | undefined> {
  const servers = args.nodes.filter(({ role }) => role === "server");
  const guests = await openNodes(args, servers);
  const enough = new AbortController();
  const looks = [...guests.values()].map((guest) => readApi(guest, patienceSeconds, enough.signal));
  try {
    return await firstNodes(looks);
  } finally {
    enough.abort(); // and not waited for: one that is away may take ssh its time
  }
}

/** What the first look says that is answered, as soon as it is; undefined once none is. */
export async function firstNodes(
  looks: readonly Promise<ApiSighting>[],
): Promise<readonly ObservedNode[] | undefined> {
  const answers = looks.map(async (look) => {
    const sighting = await look;
    if (sighting.kind !== "answers") throw new Silence();
    return sighting.nodes;
  });
  try {
    return await Promise.any(answers);
  } catch (error) {
    const others = (error as AggregateError).errors.filter((each) => !(each instanceof Silence));
    if (others.length > 0) throw others[0];
    return undefined;
  }
}

class Silence extends Error {}

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
