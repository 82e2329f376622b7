import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError } from "commander";
import { openHost } from "../providers/host/effects/host.ts";
import { listCache } from "../providers/image-cache/effects/cache.ts";
import { observeHost } from "../providers/image-volume/effects/hosts.ts";
import {
  renderVolumeScript,
  volumeGroupCommands,
} from "../providers/volume-group/core/commands.ts";
import { type CommonOptions, createCommand, explainError, runCommand } from "./lib/cli.ts";
import { readContext } from "./lib/context.ts";
import { allMachinesOf } from "./lib/machines.ts";
import type { LocatedMachine } from "./lib/machines-plan.ts";
import { buildUsage, parseDomainStats, parseGroups, parseNodeMemory } from "./lib/usage-plan.ts";
import { describeUsage, type HostUsage } from "./lib/usage-report.ts";
import { runVirsh } from "./lib/virsh.ts";

interface Options extends CommonOptions {
  seconds: number;
}

async function readUsage(
  uri: string,
  machines: readonly LocatedMachine[],
  groupNames: readonly string[],
  seconds: number,
): Promise<HostUsage> {
  const stats = async () => {
    const counters = parseDomainStats(await runVirsh(uri, ["domstats", "--raw"]));
    return { at: performance.now(), counters };
  };
  const before = await stats();
  const [observed, cache, memory] = await Promise.all([
    observeHost(uri, { fresh: true }),
    listCache(uri),
    runVirsh(uri, ["nodememstats"]),
  ]);
  const commands = volumeGroupCommands(observed.activation);
  const look = commands.lvm(
    ...(["vgs", "--noheadings", "--units", "b", "--nosuffix", "--separator", "\t"] as const),
    ...["-o", "vg_name,vg_size,vg_free"],
  );
  const groups = parseGroups(
    await openHost(uri).run(renderVolumeScript(commands, [look]), {
      purpose: "look at the volume groups",
    }),
  );
  await sleep(Math.max(0, before.at + seconds * 1000 - performance.now()));
  const after = await stats();
  const ours = buildUsage(before.counters, after.counters, (after.at - before.at) / 1000).filter(
    ({ machine }) => machines.some((each) => each.machine === machine),
  );
  const owner = machines[0]?.owner;
  return {
    memory: parseNodeMemory(memory),
    machines: ours,
    volumeGroups: groups
      .filter(({ name }) => groupNames.includes(name))
      .map((group) => {
        const volumes = [...observed.volumes].filter(
          ([id, { marks }]) => id.startsWith(`${group.name}/`) && marks.owner === owner,
        );
        return {
          ...group,
          volumes: volumes.length,
          volumeBytes: volumes.reduce((sum, [, { sizeBytes }]) => sum + sizeBytes, 0),
          pools: observed.pools
            .filter(({ volumeGroup }) => volumeGroup === group.name)
            .map(({ name, sizeBytes, dataPercent, metadataPercent }) => ({
              ...{ name, sizeBytes, dataPercent, metadataPercent },
            })),
        };
      }),
    cache: {
      folder: cache.folder,
      bytes: cache.files.reduce((sum, { bytes }) => sum + bytes, 0),
      files: cache.files.length,
      freeBytes: cache.freeBytes,
    },
  };
}

async function top(options: Options): Promise<void> {
  const context = await readContext(options.stack);
  const machines = allMachinesOf(context);
  const fallback = context.environment["LIBVIRT_DEFAULT_URI"] ?? "qemu:///system";
  const uris = [...new Set(context.config.hypervisors.map(({ uri }) => uri ?? fallback))];
  const hosts = await Promise.all(
    uris.map(async (host) => {
      const here = machines.filter(({ uri }) => uri === host);
      const groups = context.config.hypervisors
        .filter(({ uri = fallback }) => uri === host)
        .map(({ volumeGroup }) => volumeGroup);
      const further = here.flatMap(({ volumes }) => volumes.map(({ volumeGroup }) => volumeGroup));
      try {
        return { host, ...(await readUsage(host, here, [...groups, ...further], options.seconds)) };
      } catch (error) {
        process.exitCode = 1;
        return { host, error: explainError(error) };
      }
    }),
  );
  const lines = hosts.flatMap((answer) => [
    `${answer.host}:`,
    ...("error" in answer ? [answer.error] : describeUsage(answer)).map((line) => `  ${line}`),
  ]);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ stack: options.stack, hosts })}\n`
      : lines.map((line) => `${line}\n`).join(""),
  );
}

function seconds(text: string): number {
  if (/^[0-9]+(\.[0-9]+)?$/.test(text) && Number(text) >= 0.1) return Number(text);
  throw new InvalidArgumentError("It must be a number of seconds, 0.1 or more.");
}

await runCommand(
  createCommand("top", "What the hypervisors and their machines use.", [
    "make top",
    'make top ARGS="--seconds 10"     on the average of ten seconds',
    "make -s top ARGS=--json",
  ])
    .option("--seconds <number>", "how long to look at processors, disks and networks", seconds, 1)
    .action(top),
);
