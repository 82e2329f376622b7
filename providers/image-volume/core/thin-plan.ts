import { formatBytes } from "./errors.ts";
import { buildTags } from "./layout.ts";
import type { DesiredVolume, Observed, Refusal, Step } from "./plan.ts";
import { roleTags } from "./replace.ts";
import { goldenName, isRoomy, placeVolume, poolShortage } from "./thin.ts";

/** Where a volume's space comes from, or why it cannot come from there. */
export type Space =
  { kind: "thick" } | { kind: "thin"; pool: SeenPool } | { kind: "refusal"; refusal: Refusal };

type SeenPool = NonNullable<Observed["pools"]>[number];

/** Finds the space of a volume: of a new one as is wanted, of an existing one as it is. */
export function planSpace(desired: DesiredVolume, observed: Observed, missingBytes: number): Space {
  const { volume, group, pools = [] } = observed;
  const placed = volume === undefined ? placeVolume(desired, pools) : undefined;
  if (placed?.kind === "refusal") {
    const { code, reason, next, mayPass = false } = placed;
    return refuse({ code, reason, next, mayPass });
  }
  const differs = volume && describeDifference(desired, volume);
  if (differs !== undefined)
    return refuse({
      ...{ code: "volume-provisioning-differs", reason: differs, mayPass: true },
      next: "Set provisioning and thinPool to what it is, or let it be replaced.",
    });
  const poolName = placed?.kind === "thin" ? placed.pool.name : volume?.pool;
  const pool = pools.find(({ name }) => name === poolName);
  if (pool !== undefined) return { kind: "thin", pool };
  const free = group?.freeBytes ?? 0;
  if (missingBytes <= free) return { kind: "thick" };
  return refuse({
    code: "volume-group-full",
    reason: `volume group "${desired.volumeGroup}" has ${formatBytes(free)} free of the ${formatBytes(missingBytes)} needed`,
    next: "Remove volumes, add a physical volume with vgextend, or lower sizeGiB.",
    mayPass: true,
  });
}

function describeDifference(
  { provisioning, thinPool }: DesiredVolume,
  volume: NonNullable<Observed["volume"]>,
): string | undefined {
  const kind = volume.segmentType === "thin" ? "thin" : "thick";
  if (provisioning !== undefined && provisioning !== kind)
    return `it is ${kind} and should be ${provisioning}`;
  if (thinPool !== undefined && thinPool !== volume.pool)
    return `it is ${volume.pool === undefined ? "in no thin pool" : `in thin pool "${volume.pool}"`} and should be in "${thinPool}"`;
  return undefined;
}

/** How a new volume comes into a thin pool: as a clone of its image's golden volume, or empty. */
export function thinSteps(
  desired: DesiredVolume,
  pool: SeenPool,
  cachedBytes: number | undefined,
  targetBytes: number,
): Step[] | Refusal {
  const { image, owner, generation, formerWrites = 0 } = desired;
  const writes = formerWrites + 1;
  const { golden } = pool;
  const imageBytes =
    image === undefined || golden !== undefined ? 0 : (image.bytes ?? cachedBytes ?? 0);
  const shortage = poolShortage(pool, imageBytes);
  if (shortage !== undefined) return { ...shortage, mayPass: true };
  if (image === undefined)
    return [
      {
        ...{ kind: "createVolume", bytes: targetBytes, pool: pool.name },
        addTags: [...roleTags(desired), ...buildTags({ owner })],
      },
      {
        kind: "markPopulated",
        addTags: buildTags({ state: "populated", generation, writes }),
        removeTags: [],
      },
    ];
  const { digest } = image;
  if (golden !== undefined && golden.sizeBytes > targetBytes)
    return {
      code: "image-larger-than-volume",
      reason: `the image needs ${formatBytes(golden.sizeBytes)} and the volume has ${formatBytes(targetBytes)}`,
      next: `Set sizeGiB to ${String(Math.ceil(golden.sizeBytes / 2 ** 30))} or more.`,
      mayPass: false,
    };
  const names = { pool: pool.name, golden: goldenName(pool.name, digest), digest };
  return [
    ...(golden === undefined
      ? [{ kind: "makeGolden" as const, ...names, bytes: image.virtualBytes ?? targetBytes }]
      : []),
    {
      ...{ kind: "cloneGolden", ...names, bytes: targetBytes },
      ...(golden !== undefined && isRoomy(pool) && { isRoomy: true }),
      addTags: [
        ...roleTags(desired),
        ...buildTags({ owner, digest, state: "populated", generation, writes }),
      ],
    },
  ];
}

function refuse(refusal: Refusal): Space {
  return { kind: "refusal", refusal };
}
