import type { Activation } from "../../providers/volume-group/core/names.ts";

/** What `make up` may start on this machine when it is missing. */
export interface EmbeddedOptions {
  /** Folder of everything local, `<checkout>/.groundwork`; our own parts live in its `embedded/`. */
  home: string;
  /** Names the network namespace and /run/groundwork/<name>. */
  name: string;
  /** Volume group that the machines' volumes come from. */
  volumeGroup: string;
  /** Size of the sparse file behind the volume group where we make it, in GiB. A larger value grows it. */
  volumeGroupSizeGiB: number;
  objectStore: { endpoint: string; bucket: string; region: string };
  /** The `minio` program; default: the one on PATH. */
  minioBinary?: string;
}

/** What is in use, whether it was there or was started by us. */
export interface EmbeddedFacts {
  hypervisor: { kind: "system" | "embedded"; uri: string; networkNamespace?: string };
  volumeGroup: { kind: "existing" | "embedded"; activation: Activation };
  objectStore: { kind: "existing" | "embedded"; endpoint: string; credentialsFile: string };
}

/** Access to the object store; the content of the credentials file. */
export interface Credentials {
  accessKey: string;
  secretKey: string;
}

export type Part = "hypervisor" | "volumeGroup" | "objectStore";
export type Daemon = "virtlogd" | "libvirtd" | "minio";

/** A process of ours, told apart from a later one with the same number by its start time. */
export interface Process {
  pid: number;
  startTime: string;
  /** Set on the daemons that we start ourselves; not on the guests and dnsmasq that they start. */
  daemon?: Daemon;
  /** Inode of the network namespace that it lives in. */
  namespace: number;
}

export interface LoopDevice {
  /** `/dev/loop3` */
  name: string;
  file: string;
  /** Whether the file was removed while it was attached. */
  deleted: boolean;
  offset: number;
  /** Size limit; 0 for the whole file. */
  bytes: number;
}

/** One thing to do. Steps of a part run in order; after them the part is observed and planned again. */
export type EmbeddedStep =
  | { part: "hypervisor"; do: "endProcesses"; processes: Process[]; why: string }
  | { part: "hypervisor"; do: "makeNamespace" }
  | { part: "hypervisor"; do: "adoptNamespace"; pid: number }
  | { part: "hypervisor"; do: "prepareLibvirt" }
  | { part: "hypervisor"; do: "startDaemon"; daemon: "virtlogd" | "libvirtd" }
  | { part: "hypervisor"; do: "awaitLibvirt" }
  | { part: "hypervisor"; do: "startNetwork" }
  | { part: "volumeGroup"; do: "removeVolumeGroup"; group: { name: string; loop: string } }
  | { part: "volumeGroup"; do: "detachLoops"; loops: LoopDevice[] }
  | { part: "volumeGroup"; do: "makeVolumeFile"; bytes: number }
  | { part: "volumeGroup"; do: "growVolumeFile"; bytes: number; loop: string }
  | { part: "volumeGroup"; do: "attachVolumeFile" }
  | { part: "volumeGroup"; do: "makeVolumeGroup"; loop: string }
  | { part: "volumeGroup"; do: "activateVolumes" }
  | { part: "objectStore"; do: "endProcesses"; processes: Process[]; why: string }
  | { part: "objectStore"; do: "makeCredentials" }
  | { part: "objectStore"; do: "startObjectStore" }
  | { part: "objectStore"; do: "makeBucket" };

/** Why nothing can be done, and what the user can do about it. */
export interface Refusal {
  code: string;
  message: string;
  next: string;
}

export interface EmbeddedPlan {
  steps: EmbeddedStep[];
  refusals: Refusal[];
}
