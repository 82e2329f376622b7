import type { Activation } from "../../providers/volume-group/core/names.ts";
import type { EmbeddedFacts, LoopDevice, Process } from "./types.ts";

/** What is known of the machine before anything is decided. */
export interface Machine {
  /** Programs of those that could be needed which are not there. */
  missingTools: string[];
  /** What was in use when we last succeeded. */
  facts?: EmbeddedFacts;
}

export interface HypervisorObserved {
  /** Whether libvirt's own qemu:///system answers; `unclear` with the reason when that cannot be told. Not asked when we run our own. */
  system: { state: "answers" | "absent" | "not-asked" } | { state: "unclear"; reason: string };
  /** Whether the folders of a hypervisor of our own are there and hold the present configuration. */
  folders: "absent" | "outdated" | "ready";
  /** `stale`: the file is there and no namespace behind it. */
  namespace: { state: "absent" | "stale" } | { state: "present"; inode: number };
  /** Whether /run/groundwork/<name> says that the name is ours. */
  owned: boolean;
  /** Home of the other checkout that uses this name. */
  otherOwner?: string;
  /** Another name, under which this home runs its daemons. */
  otherName?: string;
  /** Our daemons, and everything in their namespace or ours. */
  processes: Process[];
  /** Active networks; undefined when our libvirtd does not answer. */
  activeNetworks?: string[];
}

export interface VolumeGroupObserved {
  activation: Activation;
  /** Size of our sparse file, when it is there. */
  fileBytes?: number;
  /** Bytes that the file system under it can still take. */
  freeBytes: number;
  /** Loop devices over our file, one that was deleted while attached included; that of the whole file has offset 0. */
  loops: LoopDevice[];
  /** The group of the configured name and where it lies. */
  group?: { physicalVolumes: string[]; tags: string[] };
  /** What the group has of our file, when it lies in it. */
  groupBytes?: number;
  /** Groups on our loops, whatever their names: the configured one may have been another. */
  ownGroups: { name: string; loop: string }[];
  /** Backing file of a group that lies on a loop device of someone else. */
  otherFile?: string;
  /** Volumes whose device is missing or leads elsewhere. */
  inactiveVolumes: string[];
  /** True when /dev/<volume group> is something that is not a folder of volumes. */
  devicePathTaken: boolean;
}

export interface ObjectStoreObserved {
  loopback: boolean;
  port: number;
  /** `denied`: an object store answers and refuses our credentials; `other`: something else answers. */
  answer:
    | { state: "ready"; bucket: boolean }
    | { state: "silent" }
    | { state: "denied" | "other"; reason: string };
  credentials: boolean;
  /** Our own server, also one whose folder was removed beneath it. */
  processes: Process[];
  /** Whether the folder of a server of our own is there. */
  folder: boolean;
  /** `minio (pid 123)`: who listens on the port; undefined when nobody does or it cannot be seen. */
  portHolder?: string;
}

export interface Observed {
  machine: Machine;
  hypervisor: HypervisorObserved;
  volumeGroup: VolumeGroupObserved;
  objectStore: ObjectStoreObserved;
}
