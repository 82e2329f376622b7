import { setTimeout as sleep } from "node:timers/promises";
import type { Guest } from "../../host/effects/host.ts";
import type { ApiSighting, ObservedNode } from "../core/observed.ts";
import { readApi } from "./api.ts";

/** So long a server that comes before one that has answered may take yet. */
const graceMs = 1000;

/** A server whose API answers, and the nodes that it lists. */
export interface Answer<Server> {
  server: Server;
  nodes: readonly ObservedNode[];
}

/**
 * Asks all servers at once, and takes the first in their order that answers, so that it is the same one
 * each time; one that is away is waited for no more than a second once another has answered.
 *
 * @param patienceSeconds how long a server may take where none answers.
 * @returns undefined where none answers.
 */
export async function firstAnswer<Server extends { guest: Guest }>(
  servers: readonly Server[],
  patienceSeconds: number,
): Promise<Answer<Server> | undefined> {
  const enough = new AbortController();
  const looks = servers.map(async (server): Promise<[Server, ApiSighting]> => [
    server,
    await readApi(server.guest, patienceSeconds, enough.signal),
  ]);
  try {
    return await chooseAnswer(looks, graceMs);
  } finally {
    enough.abort(); // and not waited for: one that is away may take ssh its time
  }
}

/** The first in order of the looks that are answered before the time of grace is over. */
export async function chooseAnswer<Server>(
  looks: readonly Promise<[Server, ApiSighting]>[],
  grace: number,
): Promise<Answer<Server> | undefined> {
  const answers = looks.map(async (look): Promise<Answer<Server> | undefined> => {
    const [server, sighting] = await look;
    return sighting.kind === "answers" ? { server, nodes: sighting.nodes } : undefined;
  });
  const over = untilOne(answers).then(() => sleep(grace, undefined, { ref: false }));
  for (const answer of answers) {
    const found = await Promise.race([answer, over]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Until one has answered, or none will. */
async function untilOne(answers: readonly Promise<unknown>[]): Promise<void> {
  const positive = answers.map(async (answer) => {
    if ((await answer) === undefined) throw new Error("silent");
  });
  await Promise.any(positive).catch(() => undefined);
}
