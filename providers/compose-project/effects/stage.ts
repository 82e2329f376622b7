import type { Host } from "../../host/effects/host.ts";
import type { Layout } from "../core/layout.ts";
import { planChanges, type ProjectFile } from "../core/manifest.ts";
import type { ObservedProject } from "../core/observed.ts";
import {
  prelude,
  renderStageCopy,
  renderStageEnd,
  renderStageFiles,
  renderStageStart,
} from "../core/scripts.ts";

/** A script is held in the memory of a shell on the host. */
const batchBytes = 2 * 2 ** 20;

/** Puts a release beside the one that runs: what changed is sent, the rest is copied there. */
export async function stageRelease(
  host: Host,
  options: {
    layout: Layout;
    staged: string;
    owner: string;
    files: readonly ProjectFile[];
    observed: ObservedProject;
  },
): Promise<void> {
  const { layout, staged, owner, files, observed } = options;
  const upload = new Set(planChanges(files, observed.files).upload);
  const kept = files.filter(({ path }) => !upload.has(path)).map(({ path }) => path);
  const batches = batch(files.filter(({ path }) => upload.has(path)));
  const scripts = [
    [renderStageStart(layout, staged, { owner, files }), renderStageCopy(layout, staged, kept)],
    ...batches.map((each) => [prelude, renderStageFiles(staged, each)]),
    [prelude, renderStageEnd(layout, staged, files)],
  ].map((parts) => parts.join("\n"));
  for (const script of scripts)
    await host.run(script, { purpose: `bring files to ${layout.path}`, timeoutSeconds: 300 });
}

/** Files by the script that brings them; one that is larger than a script travels alone. */
function batch(files: readonly ProjectFile[]): ProjectFile[][] {
  const batches: ProjectFile[][] = [];
  let bytes = 0;
  for (const file of files) {
    const last = batches.at(-1);
    if (last === undefined || bytes + file.content.length > batchBytes) {
      batches.push([file]);
      bytes = file.content.length;
    } else {
      last.push(file);
      bytes += file.content.length;
    }
  }
  return batches;
}
