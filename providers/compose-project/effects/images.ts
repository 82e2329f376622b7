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
import { prelude } from "../core/scripts.ts";

/**
 * Loads images that the host lacks from archives (`docker save`) in the object store. They pass
 * through this machine, so that the host need not reach the store.
 *
 * @throws GroundworkError `archive-damaged`, `archive-without-image`, or as the object store does
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
    const output = await host.run(renderLoad(image, sha256), {
      purpose: `load image ${image}`,
      timeoutSeconds: 3600,
      input: Readable.from(response.body),
    });
    const said = output.trim().split("\n").at(-1) ?? "";
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

function renderLoad(image: string, sha256: string): string {
  return [
    prelude,
    "find_docker",
    "archive=$(mktemp -p /var/tmp) && trap 'rm -f -- \"$archive\"' EXIT",
    'cat >"$archive"',
    `[ "$(sha256sum <"$archive")" = ${quote(`${sha256}  -`)} ] || { echo damaged; exit 0; }`,
    'docker load -q -i "$archive" >&2',
    `docker image inspect ${quote(image)} >/dev/null 2>&1 || { echo without; exit 0; }`,
    "echo loaded",
  ].join("\n");
}
