import * as pulumi from "@pulumi/pulumi";
import { Hypervisor } from "./components/hypervisor.ts";
import { K3sCluster } from "./components/k3s-cluster.ts";
import { Network } from "./components/network.ts";
import { ObservabilityStack } from "./components/observability-stack.ts";
import { planImage } from "./components/planning/image.ts";
import { planHosts } from "./components/planning/network.ts";
import { planSshCommand } from "./components/planning/ssh.ts";
import { VirtualMachine, type VirtualMachineArgs } from "./components/virtual-machine.ts";
import {
  loadConfig,
  loadContainerImages,
  loadEnvironment,
  type MachineConfig,
  machinesOf,
  type ObservabilityConfig,
  planClusterNodes,
} from "./config.ts";
import { ImageCache } from "./providers/image-cache/resource.ts";
import { KeyPair } from "./providers/key-pair/resource.ts";

const config = loadConfig();
const { home, libvirtUri, cwd } = loadEnvironment();
const stack = pulumi.getStack();

/** Finds what the configuration has checked to be there. */
function required<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`nothing is named "${name}"`);
  return found;
}

const allMachines = machinesOf(config);

const loginKey = new KeyPair("login", { comment: `groundwork-${stack}` });

const hypervisorByName = new Map(
  config.hypervisors.map(({ name, uri = libvirtUri, ...rest }) => {
    const machines = allMachines.filter(({ hypervisor }) => hypervisor === name);
    return [name, new Hypervisor(name, { ...rest, uri, machines, home })];
  }),
);

for (const { name, uri = libvirtUri, cache } of config.hypervisors) {
  if (cache.images.length === 0) continue;
  const images = cache.images.map((image) =>
    required(planImage(config.objectStore, config.images, image), image),
  );
  new ImageCache(name, { hypervisorUris: [uri], images });
}

const networkByName = new Map(
  config.networks.map(({ name, hypervisor: host, ...rest }) => {
    const hypervisor = required(hypervisorByName.get(host), host);
    const hosts = planHosts(name, allMachines);
    return [name, new Network(name, { ...rest, hypervisor, hosts })];
  }),
);

/** A machine of the configuration with the things that it names. */
function argumentsOf(machine: MachineConfig): VirtualMachineArgs {
  const image = planImage(config.objectStore, config.images, machine.rootVolume.image);
  const { user = config.ssh.user, authorizedKeys, ...cloudInit } = machine.cloudInit;
  return {
    ...machine,
    hypervisor: required(hypervisorByName.get(machine.hypervisor), machine.hypervisor),
    rootVolume: {
      ...machine.rootVolume,
      image: required(image, machine.rootVolume.image),
    },
    volumes: machine.volumes.map(({ image: name, ...volume }) => ({
      ...volume,
      ...(name !== undefined && {
        image: required(planImage(config.objectStore, config.images, name), name),
      }),
    })),
    networks: machine.networks.map((each) => ({
      ...each,
      network: required(networkByName.get(each.network), each.network),
    })),
    login: {
      user,
      authorizedKeys: [loginKey.publicKey, ...config.ssh.authorizedKeys, ...authorizedKeys],
      privateKey: loginKey.privateKey,
      ...(config.ssh.hostKeySeed !== undefined && { hostKeySeed: config.ssh.hostKeySeed }),
    },
    cloudInit,
  };
}

const single = config.machines.map((machine) => {
  const args = argumentsOf(machine);
  const vm = new VirtualMachine(machine.name, args);
  return { name: machine.name, user: args.login.user, vm };
});

const clusterByName = new Map(
  config.clusters.map((cluster) => {
    const nodes = planClusterNodes(cluster).map(({ machine, role, labels, taints }) => ({
      ...{ name: machine.name, role, labels, taints, machine: argumentsOf(machine) },
    }));
    const { objectStore } = config;
    return [cluster.name, new K3sCluster(cluster.name, { ...cluster, objectStore, nodes })];
  }),
);

const created = [...single, ...[...clusterByName.values()].flatMap(({ machines: own }) => own)];

function observabilityStack({ machine, host, ...rest }: ObservabilityConfig): ObservabilityStack {
  const found = created.find(({ name }) => name === machine);
  return new ObservabilityStack("observability", {
    ...rest,
    target: found ? { name: found.name, machine: found.vm } : { uri: required(host, "host") },
    folder: "stacks/observability",
    archives: rest.images === "build" ? loadContainerImages(home) : rest.archives,
    objectStore: config.objectStore,
    privateKey: loginKey.privateKey,
  });
}

const lab = config.observability && observabilityStack(config.observability);

/** The observability lab: where its services are, and Grafana's password. */
export const observability = lab && { urls: lab.urls, grafanaPassword: lab.grafanaPassword };

/** The machines by name: how to reach them and what they are made of. */
export const machines = Object.fromEntries(
  created.map(({ name, vm }) => [
    name,
    {
      name,
      addresses: vm.addresses,
      mac: vm.mac,
      sshCommand: planSshCommand({ home, stack, machine: name, cwd }),
      volumePath: vm.volumePath,
      imageDigest: vm.imageDigest,
      serialLogPath: vm.serialLogPath,
    },
  ]),
);

/** The hypervisors by name. */
export const hypervisors = Object.fromEntries(
  [...hypervisorByName].map(([name, { uri, volumeGroup, offer }]) => [
    name,
    { uri, volumeGroup, accelerator: offer.apply(({ accelerator }) => accelerator) },
  ]),
);

/** What `ssh` needs to enter every machine, for scripts that write its files. */
export const ssh = pulumi.secret({
  privateKey: loginKey.privateKey,
  machines: created.map(({ name, user, vm }) => ({
    name,
    user,
    address: vm.addresses[0],
    hostPublicKey: vm.hostPublicKey,
    hypervisorUri: vm.hypervisorUri,
  })),
});

/** The clusters by name. */
export const clusters = Object.fromEntries(
  [...clusterByName].map(([name, { apiUrl, members, timings }]) => [
    name,
    { apiUrl, nodes: members, timings },
  ]),
);

/** The kubeconfig of each cluster, by name. */
export const kubeconfigs = pulumi.secret(
  Object.fromEntries([...clusterByName].map(([name, { kubeconfig }]) => [name, kubeconfig])),
);
