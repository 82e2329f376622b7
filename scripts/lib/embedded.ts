import type { EmbeddedOptions } from "../../embedded/index.ts";
import type { Context } from "./context.ts";
import { minioBinary } from "./tools-paths.ts";

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
