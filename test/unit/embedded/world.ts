import type { Observed } from "../../../embedded/core/observed.ts";
import type {
  EmbeddedOptions,
  EmbeddedStep,
  LoopDevice,
  Process,
} from "../../../embedded/core/types.ts";

export const GiB = 1024 ** 3;

export const options: EmbeddedOptions = {
  home: "/srv/lab/.groundwork",
  name: "lab",
  volumeGroup: "lab",
  volumeGroupSizeGiB: 40,
  objectStore: { endpoint: "http://127.0.0.1:9000", bucket: "images", region: "us-east-1" },
};

/** The same without one property. */
export function without<T extends object, K extends keyof T>(value: T, key: K): Omit<T, K> {
  const entries = Object.entries(value).filter(([name]) => name !== key);
  return Object.fromEntries(entries) as Omit<T, K>;
}

export const volumeFile = "/srv/lab/.groundwork/embedded/volumes.img";

export const loop = (changes: Partial<LoopDevice> = {}): LoopDevice => ({
  name: "/dev/loop0",
  file: volumeFile,
  deleted: false,
  offset: 0,
  bytes: 0,
  ...changes,
});

export const proc = (pid: number, daemon?: Process["daemon"], namespace = 7): Process => ({
  pid,
  startTime: String(pid * 10),
  namespace,
  ...(daemon !== undefined && { daemon }),
});

/** A machine with the tools and nothing else. */
export const bare: Observed = {
  machine: { missingTools: [] },
  hypervisor: {
    system: { state: "absent" },
    folders: "absent",
    namespace: { state: "absent" },
    owned: false,
    processes: [],
  },
  volumeGroup: {
    activation: "loop",
    freeBytes: 100 * GiB,
    loops: [],
    ownGroups: [],
    inactiveVolumes: [],
    devicePathTaken: false,
  },
  objectStore: {
    loopback: true,
    port: 9000,
    answer: { state: "silent" },
    credentials: false,
    processes: [],
    folder: false,
  },
};

/** A machine on which all our parts run. */
export const running: Observed = {
  machine: { missingTools: [] },
  hypervisor: {
    system: { state: "not-asked" },
    folders: "ready",
    namespace: { state: "present", inode: 7 },
    owned: true,
    processes: [proc(1, "virtlogd"), proc(2, "libvirtd"), proc(3)],
    activeNetworks: ["default"],
  },
  volumeGroup: {
    activation: "loop",
    fileBytes: 40 * GiB,
    freeBytes: 100 * GiB,
    loops: [loop()],
    group: { physicalVolumes: ["/dev/loop0"], tags: ["groundwork"] },
    groupBytes: 40 * GiB - 1024 ** 2,
    ownGroups: [{ name: "lab", loop: "/dev/loop0" }],
    inactiveVolumes: [],
    devicePathTaken: false,
  },
  objectStore: {
    loopback: true,
    port: 9000,
    answer: { state: "ready", bucket: true },
    credentials: true,
    processes: [proc(9, "minio", 1)],
    folder: true,
  },
};

/** A machine on which everything was there before us. */
export const furnished: Observed = {
  ...bare,
  hypervisor: { ...bare.hypervisor, system: { state: "answers" } },
  volumeGroup: { ...bare.volumeGroup, group: { physicalVolumes: ["/dev/sda2"], tags: [] } },
  objectStore: { ...bare.objectStore, answer: { state: "ready", bucket: true }, credentials: true },
};

/** What is there after a step, as far as the plan can see it. */
export function after(world: Observed, step: EmbeddedStep): Observed {
  const { hypervisor, volumeGroup, objectStore } = world;
  const onHypervisor = (changes: object): Observed => ({
    ...world,
    hypervisor: { ...hypervisor, ...changes },
  });
  const onVolumeGroup = (changes: object): Observed => ({
    ...world,
    volumeGroup: { ...volumeGroup, ...changes },
  });
  const onObjectStore = (changes: object): Observed => ({
    ...world,
    objectStore: { ...objectStore, ...changes },
  });
  const remaining = (all: readonly Process[], gone: readonly Process[]): Process[] =>
    all.filter((one) => !gone.some((other) => other.pid === one.pid));
  const inode = 8;
  switch (step.do) {
    case "endProcesses":
      return step.part === "hypervisor"
        ? onHypervisor({
            processes: remaining(hypervisor.processes, step.processes),
            activeNetworks: undefined,
          })
        : onObjectStore({
            processes: remaining(objectStore.processes, step.processes),
            answer: { state: "silent" },
          });
    case "prepareLibvirt":
      return onHypervisor({ folders: "ready", owned: true });
    case "makeNamespace":
      return onHypervisor({ namespace: { state: "present", inode } });
    case "adoptNamespace": {
      const found = hypervisor.processes.find((one) => one.pid === step.pid);
      return onHypervisor({ namespace: { state: "present", inode: found?.namespace } });
    }
    case "startDaemon": {
      const namespace = hypervisor.namespace.state === "present" ? hypervisor.namespace.inode : 0;
      const started = proc(step.daemon === "libvirtd" ? 102 : 101, step.daemon, namespace);
      return onHypervisor({ processes: [...hypervisor.processes, started] });
    }
    case "awaitLibvirt":
      return onHypervisor({ activeNetworks: hypervisor.activeNetworks ?? [] });
    case "startNetwork":
      return onHypervisor({ activeNetworks: [...(hypervisor.activeNetworks ?? []), "default"] });
    case "detachLoops": {
      const loops = volumeGroup.loops.filter((one) => !step.loops.includes(one));
      const gone = volumeGroup.group?.physicalVolumes.some((device) =>
        step.loops.some((one) => one.name === device),
      );
      return onVolumeGroup({ loops, ...(gone === true && { group: undefined }) });
    }
    case "removeVolumeGroup":
      return onVolumeGroup({
        ...(step.group.name === options.volumeGroup && { group: undefined }),
        ownGroups: volumeGroup.ownGroups.filter((own) => own !== step.group),
      });
    case "makeVolumeFile":
      return onVolumeGroup({ fileBytes: step.bytes });
    case "growVolumeFile":
      return onVolumeGroup({ fileBytes: step.bytes, groupBytes: step.bytes });
    case "attachVolumeFile":
      return onVolumeGroup({ loops: [...volumeGroup.loops, loop({ name: "/dev/loop5" })] });
    case "makeVolumeGroup":
      return onVolumeGroup({
        group: { physicalVolumes: [step.loop], tags: ["groundwork"] },
        groupBytes: volumeGroup.fileBytes,
        ownGroups: [{ name: options.volumeGroup, loop: step.loop }],
      });
    case "activateVolumes":
      return onVolumeGroup({ inactiveVolumes: [] });
    case "makeCredentials":
      return onObjectStore({ credentials: true });
    case "startObjectStore":
      return onObjectStore({
        processes: [proc(109, "minio", 1)],
        folder: true,
        answer: { state: "ready", bucket: false },
      });
    case "makeBucket":
      return onObjectStore({ answer: { state: "ready", bucket: true } });
  }
}
