import { Readable } from "node:stream";
import { quote } from "../../host/core/script.ts";
import type { Host } from "../../host/effects/host.ts";
import {
  describeImage,
  openObjectStore,
  readCredentials,
} from "../../image-volume/effects/object-store.ts";
import type { Archive } from "../core/arguments.ts";
import { composeError } from "../core/errors.ts";
import { fullDisk, parseDisks, roomFunction } from "../core/room.ts";
import { prelude } from "../core/scripts.ts";

/**
 * Loads images that the host lacks from archives (`docker save`) in the object store. They pass
 * through this machine, so that the host need not reach the store.
 *
 * @throws GroundworkError `archive-damaged`, `archive-without-image`, `disk-nearly-full`, or as the object store does
 */
export async function loadArchives(
  host: Host,
  archives: readonly Archive[],
  report: (line: string) => void,
): Promise<void> {
  const probe = [
    prelude,
    "find_docker",
    ...archives.map(
      ({ image }, index) =>
        `docker image inspect ${quote(image)} >/dev/null 2>&1 || echo ${String(index)}`,
    ),
  ].join("\n");
  const missing = await host.run(probe, { purpose: "look for images" });
  const store = openObjectStore(readCredentials(process.env));
  for (const index of missing.split("\n").filter(Boolean).map(Number)) {
    const archive = archives[index];
    if (archive === undefined) continue;
    const { image } = archive;
    report(`${image}: loading ${describeImage(archive)}`);
    const sha256 = archive.sha256 ?? (await store.readSidecar(archive));
    const response = await fetch(await store.presign(archive));
    if (!response.ok || response.body === null)
      throw composeError(
        "archive-missing",
        `Cannot load image ${image}: the object store answers ${String(response.status)} for ${describeImage(archive)}.`,
        "Upload the archive, or correct its bucket and key.",
      );
    const bytes = Number(response.headers.get("content-length") ?? 0);
    const input = Readable.from(response.body);
    const output = await host
      .run(renderLoad(image, { sha256, bytes }), {
        ...{ purpose: `load image ${image}`, timeoutSeconds: 3600, input },
      })
      .finally(() => input.destroy()); // of an archive that is refused, the rest need not come
    const said = output.trim().split("\n").at(-1) ?? "";
    const [needed = "", ...lacking] = said.split(" ");
    const [disk] = parseDisks(lacking.join(" "));
    if (disk !== undefined)
      throw fullDisk(`Cannot load image ${image} on ${host.name}`, disk, Number(needed));
    if (said === "damaged")
      throw composeError(
        "archive-damaged",
        `Cannot load image ${image}: what came of ${describeImage(archive)} does not have the SHA-256 ${sha256}.`,
        "Run the same command again; if that does not help, upload the archive and its .sha256 anew.",
      );
    if (said !== "loaded")
      throw composeError(
        "archive-without-image",
        `The archive ${describeImage(archive)} holds no image ${image}.`,
        "Make it with `docker save` and that name.",
      );
  }
}

/** Prints `loaded`, or what is wrong: `damaged`, `without`, or a disk with too little room. */
function renderLoad(image: string, archive: { sha256: string; bytes: number }): string {
  return [
    prelude,
    roomFunction,
    "find_docker",
    // First the archive lies in the one, then its content in the other, too.
    `folders=(/var/tmp "$(docker info --format '{{.DockerRootDir}}')") needed=${String(archive.bytes)}`,
    'if [ "$(df --output=source "${folders[@]}" | tail -n +2 | sort -u | wc -l)" = 1 ]; then needed=$((2 * needed)); fi',
    'for folder in "${folders[@]}"; do',
    '  free=$(room "$folder")',
    `  if [ -n "$free" ] && [ "$free" -lt "$needed" ]; then printf '%s %s %s\\n' "$needed" "$free" "$folder"; exit 0; fi`,
    "done",
    "archive=$(mktemp -p /var/tmp) && trap 'rm -f -- \"$archive\"' EXIT",
    'digest=$(tee -- "$archive" | sha256sum)',
    `[ "$digest" = ${quote(`${archive.sha256}  -`)} ] || { echo damaged; exit 0; }`,
    'docker load -q -i "$archive" >&2',
    `docker image inspect ${quote(image)} >/dev/null 2>&1 || { echo without; exit 0; }`,
    "echo loaded",
  ].join("\n");
}
