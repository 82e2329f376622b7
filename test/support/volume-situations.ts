import type { ImageFormat } from "../../providers/image-volume/core/image-format.ts";
import * as fc from "fast-check";
import { buildTags, cacheLayout, parseTags } from "../../providers/image-volume/core/layout.ts";
import type { ObservedVolume } from "../../providers/image-volume/core/parsers.ts";
import type { DesiredVolume, Observed, Step } from "../../providers/image-volume/core/plan.ts";
import type { ImageFile } from "../../providers/image-volume/core/populate.ts";

type SeenPool = NonNullable<Observed["pools"]>[number];

export const gibibyte = 2 ** 30;
export const extentBytes = 4 * 2 ** 20;
export const [digest, older] = ["a".repeat(64), "b".repeat(64)];

/** What a volume is asked for beside its size, owner and image, where nothing is said. */
export const defaults = {
  generation: 0,
  allowStop: false,
  shutdownTimeoutSeconds: 120,
  startAgain: true,
  ...({ strategy: "inPlace", keepPrevious: false } as const),
};

/** A volume with these marks, of 4 GiB. */
export const volume = (
  marks: Parameters<typeof buildTags>[0],
  more: Partial<ObservedVolume> = {},
): ObservedVolume => ({
  uuid: "u-1",
  sizeBytes: 4 * gibibyte,
  segmentType: "linear",
  tags: ["other=tag", ...buildTags(marks)],
  marks,
  users: [],
  ...more,
});

/** What an image is unless it is said otherwise. */
export const plainQcow2: ImageFormat = { disk: "qcow2", packing: "none" };

/** An image in the cache of a host. */
export const cachedImage: ImageFile = {
  ...{ digest, contentDigest: digest, entry: cacheLayout("/cache").entry(digest, 100) },
  ...{ fileBytes: 100, virtualBytes: 2048, format: plainQcow2 },
  ...{ inflatable: false, transcode: false, verify: true },
};

/** What a script is told that the plan saw: a populated volume of stack p/s, small enough to read. */
export const seenVolume: ObservedVolume = volume(
  { owner: "p/s", state: "populated" },
  { sizeBytes: 4096 },
);

/** The UUID of a domain that an earlier run stopped. */
export const stopped = "11111111-2222-3333-4444-555555555555";

/** A thin pool with room for anything. */
export const thinPool = (more: Partial<SeenPool> = {}): SeenPool => ({
  ...{ name: "pool", sizeBytes: 100 * gibibyte, dataPercent: 5, metadataPercent: 5 },
  ...{ zeroes: true, health: "", ...more },
});

/** A host with room for anything. */
export const observed = (more: Partial<Observed> = {}): Observed => ({
  group: { extentBytes, freeBytes: 100 * gibibyte },
  cacheFreeBytes: 100 * gibibyte,
  rates: new Map(),
  ...more,
});

/** Wants and hosts of every kind; half-made volumes, other owners, growth and full disks among them. */
export const situations: fc.Arbitrary<[DesiredVolume, Observed]> = fc
  .record({
    gigabytes: fc.integer({ min: 1, max: 4 }),
    adopt: fc.boolean(),
    generation: fc.nat(2),
    startAgain: fc.boolean(),
    formerOwner: fc.option(fc.constant("p/former"), { nil: undefined }),
    image: fc.option(fc.constantFrom(digest, older), { nil: undefined }),
    cached: fc.boolean(),
    provisioning: fc.constantFrom(undefined, "thin" as const, "thick" as const),
    pool: fc.constantFrom("none", "empty", "with golden volume"),
    there: fc.option(
      fc.record({
        gigabytes: fc.integer({ min: 1, max: 4 }),
        owner: fc.constantFrom(undefined, "p/s", "p/former", "p/other"),
        digest: fc.constantFrom(undefined, digest, older),
        state: fc.constantFrom(undefined, "populated" as const, "adopted" as const),
        growing: fc.boolean(),
        generation: fc.nat(2),
        writes: fc.option(fc.nat(3), { nil: undefined }),
        stopped: fc.constantFrom(undefined, [stopped]),
        domains: fc.subarray(["vm1", "vm2"]),
        thin: fc.boolean(),
      }),
      { nil: undefined },
    ),
  })
  .map(({ gigabytes, adopt, generation, startAgain, formerOwner, image, cached, ...rest }) => {
    const { provisioning, pool, there } = rest;
    const want: DesiredVolume = {
      ...{ volumeGroup: "lab", volumeName: "vm1", owner: "p/s", adopt },
      ...{ ...defaults, generation, startAgain, allowStop: true },
      sizeBytes: gigabytes * gibibyte,
      ...(formerOwner !== undefined && { formerOwner }),
      ...(image !== undefined && { image: { digest: image, bytes: 9 } }),
      ...(provisioning !== undefined && { provisioning }),
    };
    const marks = {
      ...(there?.owner !== undefined && { owner: there.owner }),
      ...(there?.digest !== undefined && { digest: there.digest }),
      ...(there?.state !== undefined && { state: there.state }),
      ...((there?.generation ?? 0) > 0 && { generation: there?.generation ?? 0 }),
      ...(there?.writes !== undefined && { writes: there.writes }),
      ...(there?.stopped !== undefined && { stopped: there.stopped }),
      ...(there?.growing === true && {
        growingFromBytes: there.gigabytes * gibibyte - extentBytes,
      }),
    };
    return [
      want,
      observed({
        ...(cached && { cachedBytes: 9 }),
        ...(pool !== "none" && {
          pools: [
            thinPool(pool === "empty" ? {} : { golden: volume({}, { sizeBytes: gibibyte }) }),
          ],
        }),
        ...(there && {
          volume: volume(marks, {
            sizeBytes: there.gigabytes * gibibyte,
            users: there.domains.map((domain, pid) => ({ pid, command: "qemu", domain })),
            ...(there.thin && { segmentType: "thin", pool: "pool" }),
          }),
        }),
      }),
    ];
  });

/** What a host looks like after a step: the scripts of commands.ts do this for real. */
export function applyStep(now: ObservedVolume | undefined, step: Step): ObservedVolume | undefined {
  if (step.kind === "makeGolden") return now;
  if (step.kind === "createVolume" || step.kind === "cloneGolden")
    return {
      ...volume({}, { sizeBytes: step.bytes }),
      ...(step.pool !== undefined && { segmentType: "thin", pool: step.pool }),
      tags: step.addTags,
      marks: parseTags(step.addTags),
    };
  if (now === undefined) return now;
  if (step.kind === "stopDomains") {
    const tags = step.startAgain ? [...now.tags, ...buildTags({ stopped: [stopped] })] : now.tags;
    return { ...now, users: [], tags, marks: parseTags(tags) };
  }
  const [add, remove] = [
    "addTags" in step ? step.addTags : [],
    "removeTags" in step ? step.removeTags : [],
  ];
  const tags = [...new Set([...now.tags.filter((tag) => !remove.includes(tag)), ...add])].filter(
    (tag) =>
      !(step.kind === "growVolume" && tag.startsWith("groundwork.growing=")) &&
      !(step.kind === "startDomains" && tag.startsWith("groundwork.stopped=")),
  );
  const sizeBytes = step.kind === "growVolume" ? step.toBytes : now.sizeBytes;
  return { ...now, sizeBytes, tags, marks: parseTags(tags) };
}

/** What a host looks like after all these steps. */
export function carryOut(seen: Observed, steps: readonly Step[]): Observed {
  const after = steps.reduce(applyStep, seen.volume);
  const fetched = steps.some(({ kind }) => kind === "fetchImage");
  const golden = steps.some(({ kind }) => kind === "makeGolden");
  return {
    ...seen,
    ...(after && { volume: after }),
    ...(fetched && { cachedBytes: 9 }),
    ...(golden && { pools: [thinPool({ golden: volume({}, { sizeBytes: gibibyte }) })] }),
  };
}
