import { type Config, machinesOf } from "../../config.ts";
import { parseLibvirtUri } from "../../providers/host/core/connection.ts";

const gib = 1024 ** 3;

/** Disk space that `make up` may take on this machine, in bytes. */
export interface DiskNeeds {
  /** In the home folder: volumes of the embedded volume group and the image cache. */
  homeBytes: number;
  /** In the cache folder: images that are built here. */
  cacheBytes: number;
}

/** Whether a hypervisor of the configuration is this machine. */
export function isLocal(uri: string | undefined): boolean {
  return uri === undefined || parseLibvirtUri(uri).kind === "local";
}

/**
 * The most that a stack can take of this machine's disks: volumes count with their whole size,
 * though they are sparse, and built images with their virtual size, though they are compressed.
 */
export function planDiskNeeds(config: Config): DiskNeeds {
  const local = new Set(
    config.hypervisors.filter(({ uri }) => isLocal(uri)).map(({ name }) => name),
  );
  const machines = machinesOf(config).filter(({ hypervisor }) => local.has(hypervisor));
  const volumes = machines.flatMap(({ rootVolume, volumes }) => [rootVolume, ...volumes]);
  const sum = (sizes: readonly { sizeGiB: number }[]): number =>
    sizes.reduce((total, { sizeGiB }) => total + sizeGiB * gib, 0);
  const built = sum(config.images.flatMap(({ build }) => (build === undefined ? [] : [build])));
  return {
    // Two copies of an image beside the volumes: the object in the store and the cache entry.
    homeBytes: config.embedded === undefined ? 0 : sum(volumes) + 2 * built,
    cacheBytes: built,
  };
}
