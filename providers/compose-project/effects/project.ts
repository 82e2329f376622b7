import { randomBytes } from "node:crypto";
import * as path from "node:path";
import { redact } from "../../errors.ts";
import type { Host } from "../../host/effects/host.ts";
import { renderActivate } from "../core/activate.ts";
import type { ComposeProjectArguments } from "../core/arguments.ts";
import { installError, renderInstall } from "../core/engine.ts";
import { composeError } from "../core/errors.ts";
import { environmentFile, layoutOf, overrideFile, releaseName } from "../core/layout.ts";
import {
  manifestDigest,
  planChanges,
  type ProjectFile,
  renderEnvironmentFile,
  sha256,
} from "../core/manifest.ts";
import { type Model, parseModel, renderOverride } from "../core/model.ts";
import {
  type ObservedProject,
  parseObserved,
  parseRecords,
  renderState,
} from "../core/observed.ts";
import { outcomeError, parseOutcome } from "../core/outcome.ts";
import { needsModel, type Plan, planProject, refuseForeign } from "../core/plan.ts";
import { refuseFullDisk } from "../core/room.ts";
import { renderModel, renderObserve, renderPreviewModel } from "../core/scripts.ts";
import { readProjectFolder } from "./folder.ts";
import { loadArchives } from "./images.ts";
import { stageRelease } from "./stage.ts";

/** The files of the project and the `.env` that we write beside them. */
export async function desiredFiles(args: ComposeProjectArguments): Promise<ProjectFile[]> {
  const files = await readProjectFolder(path.resolve(args.folder));
  for (const needed of [...args.composeFiles, args.checkScript, args.smokeScript])
    if (needed !== undefined && !files.some((file) => file.path === needed))
      throw composeError(
        "project-folder",
        `Cannot use the project in ${args.folder}: it has no ${needed}.`,
        "Add it, take it out of .syncignore, or correct its name.",
      );
  const content = Buffer.from(
    renderEnvironmentFile({
      project: args.project,
      composeFiles: [...args.composeFiles, overrideFile],
      variables: { ...args.environment, ...args.secrets },
    }),
  );
  return [...files, { path: environmentFile, content, sha256: sha256(content), mode: "0600" }];
}

export async function observe(
  host: Host,
  args: Pick<ComposeProjectArguments, "path" | "project">,
): Promise<ObservedProject> {
  const script = renderObserve(layoutOf(args.path), args.project);
  return parseObserved(
    await host.run(script, { purpose: `look at the project ${args.path}`, timeoutSeconds: 120 }),
  );
}

function requireRoom(
  host: Host,
  { project }: ComposeProjectArguments,
  files: readonly ProjectFile[],
  { disks }: ObservedProject,
): void {
  const releaseBytes = files.reduce((sum, { content }) => sum + content.length, 0);
  refuseFullDisk({ project, host: host.name, releaseBytes }, disks);
}

/** No env file and no Compose file is larger, and others matter to Compose by their names only. */
const largestForModel = 256 * 1024;

/** Plans without changing anything on the host; Compose resolves the project in a temporary folder. */
export async function examine(
  host: Host,
  args: ComposeProjectArguments,
  files: readonly ProjectFile[],
): Promise<Plan> {
  const observed = await observe(host, args);
  refuseForeign(host.name, args, observed);
  if (!needsModel(files, observed)) return planProject(files, observed, args, undefined);
  requireRoom(host, args, files, observed);
  const upload = new Set(planChanges(files, observed.files).upload);
  const small = files.filter(({ content }) => content.length <= largestForModel);
  const script = renderPreviewModel(layoutOf(args.path), {
    project: args.project,
    sent: small.filter((file) => upload.has(file.path)),
    kept: small.filter((file) => !upload.has(file.path)).map((file) => file.path),
  });
  return planProject(files, observed, args, await readModel(host, args, files, script));
}

async function readModel(
  host: Host,
  args: ComposeProjectArguments,
  files: readonly ProjectFile[],
  script: string,
): Promise<Model> {
  const secrets = Object.values(args.secrets);
  const purpose = `have Compose read the project ${args.path}`;
  const said = parseRecords(await host.run(script, { purpose, secrets, timeoutSeconds: 120 }));
  const invalid = said.get("invalid");
  if (invalid !== undefined)
    throw composeError(
      "bad-compose-file",
      `Compose refuses the project in ${args.folder}: ${redact(invalid, secrets).trim()}. Nothing was stopped or changed.`,
      "Mend it, then run the same command again.",
    );
  return parseModel(said.get("model") ?? "", said.get("root") ?? "", files);
}

async function ensureEngine(
  host: Host,
  args: ComposeProjectArguments,
  observed: ObservedProject,
  report: (line: string) => void,
): Promise<ObservedProject> {
  const works = ({ engine, compose }: ObservedProject): boolean =>
    engine !== undefined && compose !== undefined && !/^v?1\./.test(compose);
  if (works(observed)) return observed;
  if (args.engine === "present") throw installError(host.name, args.engine, "");
  report(`${args.project}: installing Docker on ${host.name}`);
  const purpose = "install Docker's engine and Compose";
  const output = await host.run(renderInstall(args.engine), { purpose, timeoutSeconds: 1800 });
  const said = output.trim().split("\n").at(-1) ?? "";
  if (said !== "installed") throw installError(host.name, args.engine, said);
  const now = await observe(host, args);
  if (!works(now)) throw installError(host.name, args.engine, said);
  return now;
}

/**
 * Makes the host run the project as it is here. Interrupted at any point, the next call goes on; a
 * project that does not come up or fails its smoke test gives way to the one that ran before.
 *
 * @throws GroundworkError `deployment-failed`, `smoke-test-failed`, `project-refused`,
 *   `bad-compose-file`, `disk-nearly-full`, `deployment-under-way`, `engine-missing`, `path-occupied`, `project-not-ours`
 */
export async function deploy(
  host: Host,
  args: ComposeProjectArguments,
  report: (line: string) => void,
): Promise<void> {
  const files = await desiredFiles(args);
  // Another deployment may end while we wait for its lock, and then everything is to be looked at anew.
  for (let attempt = 1; attempt <= 5; attempt += 1)
    if ((await deployOnce(host, args, files, report)) === "done") return;
  throw outcomeError(args.project, host.name, { kind: "busy" });
}

async function deployOnce(
  host: Host,
  args: ComposeProjectArguments,
  files: readonly ProjectFile[],
  report: (line: string) => void,
): Promise<"done" | "moved"> {
  const seen = await observe(host, args);
  refuseForeign(host.name, args, seen);
  const observed = await ensureEngine(host, args, seen, report);
  const { stage, summary } = planProject(files, observed, args, undefined);
  if (!stage && summary.steps.length === 0) return "done";
  if (stage) requireRoom(host, args, files, observed);
  if (stage && args.archives.length > 0) await loadArchives(host, args.archives, report);
  const layout = layoutOf(args.path);
  const digest = manifestDigest(files);
  const release = stage
    ? releaseName(digest, randomBytes(4).toString("hex"))
    : (observed.release ?? "");
  const staged = `${layout.store}/staging/${release}`;
  if (stage) await stageRelease(host, { layout, staged, owner: args.owner, files, observed });
  const { project } = args;
  const model = stage
    ? await readModel(host, args, files, renderModel(staged, project))
    : undefined;
  const services = model?.services ?? [];
  const state =
    model === undefined
      ? observed.state
      : {
          ...{ version: 1 as const, release, digest },
          services: Object.fromEntries(
            services.map(({ name, definition, files: mounted }) => [
              name,
              { definition, files: mounted },
            ]),
          ),
        };
  if (state === undefined) throw new Error("a release without a state is staged anew");
  const script = renderActivate({
    ...args,
    ...{ layout, release, staged: stage, good: observed.state?.release },
    override: model === undefined ? "" : renderOverride(model),
    imageNames: services.map(({ name, image }) => image ?? `${project}-${name}`),
    discard: planProject(files, observed, args, model).tampered,
    builds: services.some(({ builds }) => builds),
    stateDigest: observed.stateDigest,
    state: renderState(state),
  });
  const secrets = Object.values(args.secrets);
  const output = await host.run(script, {
    purpose: `deploy the project ${project}`,
    // Up and, where that fails, up again; images take what they take.
    timeoutSeconds: 3600 + args.lockTimeoutSeconds + 3 * args.upTimeoutSeconds,
    secrets,
    onLine: (line) => {
      if (line.startsWith("@step ")) report(`${project}: ${line.slice("@step ".length)}`);
    },
  });
  const outcome = parseOutcome(output);
  if (outcome.kind === "done" || outcome.kind === "moved") return outcome.kind;
  const error = outcomeError(project, host.name, outcome);
  error.message = redact(error.message, secrets);
  throw error;
}
