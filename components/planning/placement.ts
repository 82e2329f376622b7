/** Where the things of a stack are on a hypervisor. */
export interface Placement {
  /** The stack's folder; `.groundwork` in it says whose it is. */
  folder: string;
  poolName: string;
  /** The pool's folder, which libvirt makes. */
  seeds: string;
}

/** Folders that are made in the stack's folder. */
export const subfolders = ["logs", "nvram"] as const;

/**
 * Decides where a stack keeps its files on a hypervisor. By default below /var/lib/groundwork; a
 * libvirtd of our own on this machine (one with a socket of its own) keeps them in our home folder,
 * for it is stopped and forgotten as a whole. Never below /var/lib/libvirt, which is not the host's
 * in the embedded libvirtd's view.
 */
export function planPlacement(options: {
  stack: string;
  hypervisor: string;
  uri: string;
  /** GROUNDWORK_HOME. */
  home: string;
  pool: { name?: string | undefined; path?: string | undefined };
}): Placement {
  const ownDaemon = options.uri.startsWith("qemu+unix:") && options.uri.includes("socket=");
  const root = ownDaemon ? options.home : "/var/lib/groundwork";
  const folder = options.pool.path ?? `${root}/pools/${options.stack}-${options.hypervisor}`;
  return {
    folder,
    poolName: options.pool.name ?? `groundwork-${options.stack}-${options.hypervisor}`,
    seeds: `${folder}/seeds`,
  };
}

export function serialLogPath(placement: Placement, machine: string): string {
  return `${placement.folder}/logs/${machine}.log`;
}

export function nvramPath(placement: Placement, machine: string): string {
  return `${placement.folder}/nvram/${machine}.fd`;
}
