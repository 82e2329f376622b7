import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Client } from "minio";
import { layoutOf } from "../../embedded/core/layout.ts";
import type { Process } from "../../embedded/core/types.ts";
import { findProcesses } from "../../embedded/effects/processes.ts";
import {
  type EmbeddedOptions,
  ensureEmbedded,
  readEmbedded,
  stopEmbedded,
} from "../../embedded/index.ts";
import { openHost } from "../../providers/host/effects/host.ts";
import {
  renderVolumeScript,
  volumeGroupCommands,
} from "../../providers/volume-group/core/commands.ts";
import { minioProgram, openMinio } from "./minio.ts";
import { requireNeeds } from "./needs.ts";
import { freePort, makeScratch, type Scratch, undoAtExit } from "./scratch.ts";

export const ignore = (): void => undefined;

export function sh(script: string): string {
  return execFileSync("bash", ["-c", script], { encoding: "utf8" });
}

/** Runs a program on the embedded module in a process of its own, which may kill itself. */
export function inOwnProcess(
  code: string,
  wrapper: readonly string[] = [],
): ReturnType<typeof spawn> {
  const program = `
    import { ensureEmbedded, stopEmbedded } from "./embedded/index.ts";
    ${code}`;
  const words = [
    ...wrapper,
    process.execPath,
    "--import=tsx",
    "--input-type=module",
    "-e",
    program,
  ];
  return spawn(words[0] ?? "", words.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
}

/** All that a process says until it ends. */
export async function outcomeOf(child: ReturnType<typeof spawn>): Promise<string> {
  let printed = "";
  child.stdout?.on("data", (text: Buffer) => (printed += text.toString()));
  child.stderr?.on("data", (text: Buffer) => (printed += text.toString()));
  await new Promise((resolve) => child.once("close", resolve));
  return printed;
}
/** The embedded hypervisor, volume group and object store of one suite. */
export interface EmbeddedLab {
  readonly scratch: Scratch;
  options: EmbeddedOptions;
  readonly uri: string;
  readonly netnsWasMounted: boolean;
}

/** What tests do with it. */
export interface EmbeddedSuite {
  /** Filled in before the first test. */
  readonly lab: EmbeddedLab;
  ensure: (report?: (line: string) => void) => ReturnType<typeof ensureEmbedded>;
  stop: () => Promise<void>;
  virsh: (...words: string[]) => string;
  namespaceInode: () => number;
  processes: () => Process[];
  /** The processes once none comes or goes: libvirtd may just have asked a helper, which ends by itself. */
  atRest: () => Promise<Process[]>;
  /** By SIGKILL, as the kernel might where memory is short. */
  killAll: () => void;
  pidOf: (daemon: string) => number;
  store: () => Client;
  /** Runs what `make` returns on the volume group. */
  volumes: (make: (vg: ReturnType<typeof volumeGroupCommands>) => string[]) => Promise<string>;
  /** Starts a guest on the volume `guest-root`. */
  startGuest: () => void;
  /** What is left of ours on the machine, whatever others do on it meanwhile. */
  traces: () => string[];
}

/** Gives the `describe` that calls it a name, folder and port of its own; stops and removes all at the end. */
export function useEmbedded(): EmbeddedSuite {
  const lab = {} as EmbeddedLab;
  let cleanUp: (() => void) | undefined;

  const ensure = (report: (line: string) => void = ignore): ReturnType<typeof ensureEmbedded> =>
    ensureEmbedded(lab.options, report);
  const stop = (): Promise<void> => stopEmbedded(lab.options, ignore);
  const virsh = (...words: string[]): string =>
    execFileSync("virsh", ["-c", lab.uri, ...words], { encoding: "utf8" }).trim();
  const namespaceInode = (): number => fs.statSync(layoutOf(lab.options).namespace).ino;
  const processes = (): Process[] =>
    findProcesses(
      lab.options,
      fs.existsSync(layoutOf(lab.options).namespace) ? namespaceInode() : undefined,
    );
  const atRest = async (): Promise<Process[]> => {
    for (let seen = processes(); ;) {
      await sleep(1000);
      const now = processes();
      if (isDeepStrictEqual(now, seen)) return now;
      seen = now;
    }
  };
  const killAll = (): void => {
    for (const { pid } of processes())
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        // A helper of libvirtd's has ended by itself.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
  };
  const pidOf = (daemon: string): number =>
    processes().find((one) => one.daemon === daemon)?.pid ?? assert.fail(`no ${daemon} runs`);
  const store = (): Client =>
    openMinio(
      Number(new URL(lab.options.objectStore.endpoint).port),
      layoutOf(lab.options).credentials,
    );
  const volumes = async (
    make: (vg: ReturnType<typeof volumeGroupCommands>) => string[],
  ): Promise<string> => {
    const vg = volumeGroupCommands(
      (await readEmbedded(lab.options))?.volumeGroup.activation ?? "loop",
    );
    const script = renderVolumeScript(vg, make(vg));
    return openHost("qemu:///system").run(script, { purpose: "prepare the test" });
  };
  const startGuest = (): void => {
    const xml = path.join(lab.scratch.folder, "guest.xml");
    fs.writeFileSync(
      xml,
      `<domain type="qemu"><name>guest</name><memory unit="MiB">32</memory>
       <os><type machine="q35">hvm</type></os>
       <devices>
         <disk type="block" device="disk"><driver name="qemu" type="raw"/>
           <source dev="/dev/${lab.options.volumeGroup}/guest-root"/><target dev="vda" bus="virtio"/></disk>
         <interface type="network"><source network="default"/></interface>
       </devices></domain>`,
    );
    if (!virsh("list", "--all", "--name").includes("guest")) virsh("define", xml);
    virsh("start", "guest");
  };

  const traces = (): string[] => {
    const { name, volumeGroup } = lab.options;
    const found = sh(`
      ip netns list | grep -w ${name} || true
      losetup --list --noheadings -O NAME,BACK-FILE | grep -F ${lab.scratch.folder} || true
      grep -E '${name}|${lab.scratch.folder}' /proc/self/mountinfo || true
      ls -d /dev/${volumeGroup} /run/lock/groundwork-${volumeGroup}.lock /run/groundwork/${name} /run/netns/${name} 2>/dev/null || true
      pvs --driverloaded n --noheadings -o pv_name,vg_name 2>/dev/null | grep -w ${volumeGroup} || true
      ls /etc/lvm/backup /etc/lvm/archive 2>/dev/null | grep -E '^${volumeGroup}(_|$)' || true
      ls -d ${lab.options.home}/embedded 2>/dev/null || true`);
    const left = processes().map((one) => `process ${String(one.pid)}`);
    return [...found.split("\n").filter((line) => line !== ""), ...left];
  };

  before(async function () {
    requireNeeds(this, ["root", "loop", "lvm", "netns", "mountns", "qemu", "libvirt", "minio"]);
    const scratch = makeScratch("embedded");
    const unique = randomBytes(4).toString("hex");
    const options = {
      home: path.join(scratch.folder, "home of it"),
      name: `gwt${unique}`,
      volumeGroup: `gwe${unique}`,
      volumeGroupSizeGiB: 1,
      objectStore: {
        endpoint: `http://127.0.0.1:${String(await freePort())}`,
        bucket: "images",
        region: "us-east-1",
      },
      minioBinary: minioProgram(),
    };
    const netnsWasMounted = spawnSync("mountpoint", ["-q", "/run/netns"]).status === 0;
    Object.assign(lab, { scratch, options, uri: layoutOf(options).uri, netnsWasMounted });
    cleanUp = undoAtExit(() => {
      const code = `await stopEmbedded(${JSON.stringify(lab.options)}, () => undefined);`;
      const program = `import { stopEmbedded } from "./embedded/index.ts"; ${code}`;
      spawnSync(process.execPath, ["--import=tsx", "--input-type=module", "-e", program], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      scratch.remove();
    });
  });
  after(() => {
    cleanUp?.();
  });

  return {
    ...{ lab, ensure, stop, virsh, namespaceInode, processes, atRest, killAll, pidOf },
    ...{ store, volumes, startGuest, traces },
  };
}
