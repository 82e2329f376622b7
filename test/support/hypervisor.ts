import { execa } from "execa";
import * as fs from "node:fs";
import * as path from "node:path";
import { ensureEmbedded, type EmbeddedOptions, stopEmbedded } from "../../embedded/index.ts";
import { minioProgram } from "./minio.ts";
import type { Need } from "./needs.ts";
import { freePort, makeScratch } from "./scratch.ts";

/** A libvirt of the test's own, in a network namespace of its own. */
export interface TestHypervisor {
  readonly uri: string;
  readonly networkNamespace: string | undefined;
  /** Runs virsh and returns its standard output. */
  virsh(...args: string[]): Promise<string>;
  /** Writes a file that goes with the hypervisor; returns its path. */
  write(name: string, content: string | Uint8Array): string;
  /** Ends it with all that runs on it, and removes its files. */
  stop(): Promise<void>;
}

const needs: readonly Need[] = [
  "root",
  "libvirt",
  "qemu",
  "netns",
  "mountns",
  "loop",
  "lvm",
  "minio",
];

/** Starts the embedded parts under names of the test's own. Call `requireNeeds` with `.needs` before. */
async function start(): Promise<TestHypervisor> {
  const scratch = makeScratch("hypervisor");
  const options: EmbeddedOptions = {
    home: scratch.folder,
    name: `t${String(process.pid)}`,
    volumeGroup: `gwtest${String(process.pid)}`,
    volumeGroupSizeGiB: 1,
    objectStore: {
      endpoint: `http://127.0.0.1:${String(await freePort())}`,
      bucket: "images",
      region: "us-east-1",
    },
    minioBinary: minioProgram(),
  };
  const stop = async (): Promise<void> => {
    await stopEmbedded(options, () => undefined);
    scratch.remove();
  };
  try {
    const { hypervisor } = await ensureEmbedded(options, () => undefined);
    const { uri } = hypervisor;
    return {
      uri,
      networkNamespace: hypervisor.networkNamespace,
      virsh: async (...args) => (await execa("virsh", ["-c", uri, ...args])).stdout,
      write: (name, content) => {
        const file = path.join(scratch.folder, name);
        fs.writeFileSync(file, content);
        return file;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export const startHypervisor = Object.assign(start, { needs });
