import * as pulumi from "@pulumi/pulumi";
import { Hypervisor } from "./components/hypervisor.ts";
import { Network } from "./components/network.ts";
import { ObservabilityStack } from "./components/observability-stack.ts";
import { planImage } from "./components/planning/image.ts";
import { planHosts } from "./components/planning/network.ts";
import { planSshCommand } from "./components/planning/ssh.ts";
import { VirtualMachine } from "./components/virtual-machine.ts";
import {
  loadConfig,
  loadContainerImages,
  loadEnvironment,
  type ObservabilityConfig,
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

const loginKey = new KeyPair("login", { comment: `groundwork-${stack}` });

const hypervisorByName = new Map(
  config.hypervisors.map(({ name, uri = libvirtUri, ...rest }) => {
    const machines = config.machines.filter(({ hypervisor }) => hypervisor === name);
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
    const hosts = planHosts(name, config.machines);
    return [name, new Network(name, { ...rest, hypervisor, hosts })];
  }),
);

const created = config.machines.map((machine) => {
  const image = planImage(config.objectStore, config.images, machine.rootVolume.image);
  const { user = config.ssh.user, authorizedKeys, ...cloudInit } = machine.cloudInit;
  const vm = new VirtualMachine(machine.name, {
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
    },
    cloudInit,
  });
  return { name: machine.name, user, vm };
});

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
