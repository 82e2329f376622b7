import type { ObservedVolume } from "../../image-volume/core/parsers.ts";

/** An image's pristine content in a thin pool, of which volumes are clones. */
export interface GoldenVolume {
  /** `<volume group>/<volume>`. */
  id: string;
  volumeGroup: string;
  volumeName: string;
  pool: string;
  /** The image's digest. */
  digest: string;
  /** The size of the disk in the image; what it takes in the pool is less. */
  sizeBytes: number;
  /** Whether it was written to its end. */
  complete: boolean;
  /** `<volume group>/<volume>` of each volume in the pool with that image. They do not need it. */
  volumes: string[];
}

/** The golden volumes of a host, by name. */
export function listGolden(volumes: ReadonlyMap<string, ObservedVolume>): GoldenVolume[] {
  const golden = [...volumes].flatMap(([id, { marks, pool, sizeBytes }]): GoldenVolume[] => {
    const { digest } = marks;
    if (marks.role !== "golden" || digest === undefined || pool === undefined) return [];
    const [volumeGroup = "", volumeName = ""] = id.split("/");
    const clones = [...volumes].filter(
      ([other, volume]) =>
        other.startsWith(`${volumeGroup}/`) &&
        volume.pool === pool &&
        volume.marks.role !== "golden" &&
        volume.marks.digest === digest,
    );
    return [
      {
        ...{ id, volumeGroup, volumeName, pool, digest, sizeBytes },
        complete: marks.state === "populated",
        volumes: clones.map(([clone]) => clone),
      },
    ];
  });
  return golden.sort((one, other) => (one.id < other.id ? -1 : 1));
}
