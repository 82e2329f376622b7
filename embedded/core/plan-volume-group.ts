import type { Machine, VolumeGroupObserved } from "./observed.ts";
import type { EmbeddedOptions, EmbeddedPlan, EmbeddedStep, LoopDevice } from "./types.ts";

export const GiB = 1024 ** 3;

/** The least that is worth starting with: a base image, a volume and their metadata. */
export const leastFreeBytes = 4 * GiB;

/** More than LVM leaves of a physical volume to no extent, and less than the file grows by, which is whole GiB. */
const unusedBytes = GiB / 2;

/** Marks a volume group that we made. */
export const groupTag = "groundwork";

/** The loop device over our whole file, as it is now; those of volumes begin further in. */
export function wholeLoop({ loops }: Pick<VolumeGroupObserved, "loops">): LoopDevice | undefined {
  return loops.find((loop) => loop.offset === 0 && !loop.deleted);
}

/** What brings the volume group about: nothing where there is one of that name. */
export function planVolumeGroup(
  options: EmbeddedOptions,
  machine: Machine,
  seen: VolumeGroupObserved,
): EmbeddedPlan {
  const part = "volumeGroup";
  const name = options.volumeGroup;
  const bytes = options.volumeGroupSizeGiB * GiB;
  const refuse = (code: string, message: string, next: string): EmbeddedPlan => ({
    steps: [],
    refusals: [{ code, message, next }],
  });
  const orphans = seen.loops.filter((loop) => loop.deleted);
  const liesOn = (loops: readonly LoopDevice[]): boolean =>
    seen.group?.physicalVolumes.some((device) => loops.some((loop) => loop.name === device)) ===
    true;
  const group = liesOn(orphans) ? undefined : seen.group;
  const foreign = group !== undefined && !liesOn(seen.loops);

  if (seen.fileBytes === undefined && foreign) {
    if (seen.otherFile !== undefined && group.tags.includes(groupTag))
      return refuse(
        "volume-group-of-another-home",
        `The volume group "${name}" lies in ${seen.otherFile}, which belongs to another checkout.`,
        `Set another volumeGroup in this stack's configuration, or run \`make down\` over there (\`GROUNDWORK_HOME=${homeOf(seen.otherFile)} make down\` if that checkout is gone).`,
      );
    return { steps: [], refusals: [] };
  }
  if (foreign)
    return refuse(
      "volume-group-name-taken",
      `There are two volume groups for the name "${name}": ours in a file, and one on ${group.physicalVolumes.join(", ")}.`,
      "Rename the other with `vgrename`, or set another volumeGroup and run `make down` for this one first.",
    );
  if (seen.fileBytes === undefined) {
    if (machine.facts?.volumeGroup.kind === "existing")
      return refuse(
        "volume-group-gone",
        `The volume group "${name}", which was there before us and which this stack uses, is gone.`,
        "Attach its disks again, or run `make down` to give up what was on it.",
      );
    if (seen.devicePathTaken)
      return refuse(
        "volume-group-path-taken",
        `Cannot name a volume group "${name}": /dev/${name} is something else.`,
        "Set another volumeGroup in the configuration.",
      );
    if (seen.freeBytes < Math.min(bytes, leastFreeBytes))
      return refuse(
        "disk-full",
        `Volume group "${name}" needs at least ${gib(Math.min(bytes, leastFreeBytes))} on the disk under ${options.home}, and ${gib(seen.freeBytes)} are free.`,
        "Free some space, or put the checkout on a larger disk.",
      );
  }

  const whole = wholeLoop(seen);
  const renamed = seen.ownGroups.find((own) => own.loop === whole?.name && own.name !== name);
  if (renamed !== undefined)
    return refuse(
      "volume-group-renamed",
      `The volume group in ${options.home} is "${renamed.name}", and this stack wants "${name}".`,
      `Set volumeGroup to "${renamed.name}" in this stack's configuration, or run \`make down\` to give up what is in it.`,
    );

  const steps: EmbeddedStep[] = [];
  // With device mapper an active volume holds the loop device, so that it could not be detached.
  for (const own of seen.ownGroups)
    if (orphans.some((loop) => loop.name === own.loop))
      steps.push({ part, do: "removeVolumeGroup", group: own });
  if (orphans.length > 0) steps.push({ part, do: "detachLoops", loops: orphans });
  if (seen.fileBytes === undefined || (seen.fileBytes < bytes && whole === undefined))
    steps.push({ part, do: "makeVolumeFile", bytes });
  if (whole === undefined)
    return { steps: [...steps, { part, do: "attachVolumeFile" }], refusals: [] };
  if (group === undefined) steps.push({ part, do: "makeVolumeGroup", loop: whole.name });
  const fileBytes = Math.max(seen.fileBytes ?? 0, bytes);
  // It was made larger before it was attached, or by a run that ended there.
  const groupIsSmall = seen.groupBytes !== undefined && seen.groupBytes < fileBytes - unusedBytes;
  if ((seen.fileBytes ?? bytes) < bytes || groupIsSmall)
    steps.push({ part, do: "growVolumeFile", bytes: fileBytes, loop: whole.name });
  if (seen.inactiveVolumes.length > 0) steps.push({ part, do: "activateVolumes" });
  return { steps, refusals: [] };
}

/** The home in which a file of a volume group lies: <home>/embedded/volumes.img. */
function homeOf(file: string): string {
  return file.split("/").slice(0, -2).join("/");
}

/** Bytes as GiB with one decimal, rounded down. */
export function gib(bytes: number): string {
  return `${(Math.floor((bytes / GiB) * 10) / 10).toFixed(1)} GiB`;
}
