import {
  type EmbeddedFacts,
  type EmbeddedOptions,
  isOwnHypervisor,
  readEmbedded,
} from "../../embedded/index.ts";
import type { Context } from "./context.ts";
import { minioBinary } from "./tools-paths.ts";
import { runVirsh } from "./virsh.ts";

/** What the embedded parts are asked to be; `undefined` when the stack wants none. */
export function embeddedOptions({
  config,
  environment,
  home,
}: Context): EmbeddedOptions | undefined {
  const { embedded, hypervisors, objectStore } = config;
  if (embedded === undefined) return undefined;
  const minio = minioBinary(environment);
  const volumeGroup = hypervisors.find(({ uri }) => uri === undefined)?.volumeGroup;
  return {
    home,
    name: embedded.name,
    volumeGroup: volumeGroup ?? embedded.name,
    volumeGroupSizeGiB: embedded.volumeGroupSizeGiB,
    objectStore,
    ...(minio !== undefined && { minioBinary: minio }),
  };
}

/** The embedded parts of a stack as they were last written down, and whether they are alive. */
export async function readEmbeddedState(
  options: EmbeddedOptions | undefined,
): Promise<{ facts?: EmbeddedFacts; answers: boolean }> {
  if (options === undefined) return { answers: false };
  const facts = await readEmbedded(options);
  if (facts === undefined) return { answers: false };
  if (!isOwnHypervisor(options, facts)) return { facts, answers: false };
  const answers = await runVirsh(facts.hypervisor.uri, ["hostname"]).then(
    () => true,
    () => false,
  );
  return { facts, answers };
}
