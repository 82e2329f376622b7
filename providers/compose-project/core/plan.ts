import type { ComposeProjectArguments } from "./arguments.ts";
import { composeError } from "./errors.ts";
import { isUnchanged, type ManifestChanges, type ManifestEntry, planChanges } from "./manifest.ts";
import { type Model, mountedDigest } from "./model.ts";
import { isSettled, type ObservedProject } from "./observed.ts";

/** What preview shows of a plan; kept in the inputs as `plan`. Nothing to do: an empty `steps`. */
export interface PlanSummary {
  /** What will be done, in order. */
  steps: StepKind[];
  /** Files of the project, as they lie in it. */
  upload?: string[];
  remove?: string[];
  /** Their containers are made for the first time, made anew, removed, or started again. */
  create?: string[];
  recreate?: string[];
  takeAway?: string[];
  start?: string[];
  /** Why the plan is not known. */
  unknown?: string;
}

export type StepKind =
  | "installEngine"
  | "loadImages"
  | "pullImages"
  | "buildImages"
  | "syncFiles"
  | "checkConfiguration"
  | "composeUp"
  | "smokeTest";

export type Wishes = Pick<
  ComposeProjectArguments,
  "images" | "checkScript" | "smokeChecks" | "smokeScript" | "engine" | "owner" | "path"
>;

export interface Plan {
  summary: PlanSummary;
  changes: ManifestChanges;
  /** The tree changes, or the last deployment was cut: a release is to be staged. */
  stage: boolean;
  /** Services that mount files which somebody changed on the host, as Compose cannot see. */
  tampered: string[];
}

/**
 * Refuses a host whose place for the project is not ours.
 * @throws GroundworkError `path-occupied`, `project-not-ours`
 */
export function refuseForeign(host: string, wishes: Wishes, observed: ObservedProject): void {
  if (observed.owner !== undefined && observed.owner !== wishes.owner)
    throw composeError(
      "project-not-ours",
      `Refused to deploy to ${wishes.path} on ${host}: the project there belongs to ${observed.owner}, and not to ${wishes.owner}.`,
      "Choose another path, or destroy the other stack first.",
    );
  if (observed.occupied)
    throw composeError(
      "path-occupied",
      `Refused to deploy to ${wishes.path} on ${host}: something is there that Groundwork did not make.`,
      "Move it away, or choose another path.",
    );
}

/** Whether a plan can be made without asking Compose what the project is made of. */
export function needsModel(files: readonly ManifestEntry[], observed: ObservedProject): boolean {
  const { engine, compose, state, release } = observed;
  if (engine === undefined || compose === undefined) return false;
  return (
    state === undefined ||
    state.release !== release ||
    !isUnchanged(planChanges(files, observed.files))
  );
}

/** Decides what must happen for the host to run the project as it is here. */
export function planProject(
  files: readonly ManifestEntry[],
  observed: ObservedProject,
  wishes: Wishes,
  model: Model | undefined,
): Plan {
  const changes = planChanges(files, observed.files);
  const interrupted = observed.state === undefined || observed.state.release !== observed.release;
  const stage = interrupted || !isUnchanged(changes);
  const upload = [...changes.upload, ...changes.remode];
  const tampered = interrupted ? [] : findTampered(observed, model);
  const services = planServices(observed, stage ? model : undefined, tampered);
  const install = observed.engine === undefined || observed.compose === undefined;
  const hasWork = stage || install || Object.keys(services).length > 0;
  const builds = model?.services.some((service) => service.builds) ?? false;
  const steps: StepKind[] = [
    ...(install ? (["installEngine"] as const) : []),
    ...(stage && wishes.images === "preload" ? (["loadImages"] as const) : []),
    ...(stage ? (["syncFiles"] as const) : []),
    ...(hasWork && wishes.images === "pull" ? (["pullImages"] as const) : []),
    ...(hasWork && wishes.images !== "preload" && builds ? (["buildImages"] as const) : []),
    ...(hasWork ? (["checkConfiguration", "composeUp"] as const) : []),
    ...(hasWork && (wishes.smokeChecks.length > 0 || wishes.smokeScript !== undefined)
      ? (["smokeTest"] as const)
      : []),
  ];
  return {
    changes,
    stage,
    tampered,
    summary: {
      steps,
      ...(stage && upload.length > 0 && { upload }),
      ...(stage && changes.remove.length > 0 && { remove: changes.remove }),
      ...services,
    },
  };
}

type ServiceChanges = Pick<PlanSummary, "create" | "recreate" | "takeAway" | "start">;

function findTampered(observed: ObservedProject, model: Model | undefined): string[] {
  return (model?.services ?? [])
    .filter(({ name, mounts }) => {
      const known = observed.state?.services[name];
      return known !== undefined && mountedDigest(observed.files, mounts) !== known.files;
    })
    .map(({ name }) => name);
}

function planServices(
  observed: ObservedProject,
  model: Model | undefined,
  tampered: readonly string[],
): ServiceChanges {
  const known = observed.state?.services ?? {};
  const wanted: { name: string; definition: string; files: string }[] =
    model?.services ?? Object.entries(known).map(([name, rest]) => ({ name, ...rest }));
  const running = new Set(observed.containers.map(({ service }) => service));
  const create = wanted.filter(({ name }) => !running.has(name)).map(({ name }) => name);
  const recreate = wanted
    .filter(({ name, definition, files }) => {
      const before = known[name];
      const differs = before?.definition !== definition || before.files !== files;
      return running.has(name) && (differs || tampered.includes(name));
    })
    .map(({ name }) => name);
  const start = observed.containers
    .filter((container) => !isSettled(container, observed.ended))
    .map(({ service }) => service)
    .filter((name) => wanted.some((each) => each.name === name) && !recreate.includes(name));
  const takeAway = [...running].filter((name) => !wanted.some((each) => each.name === name));
  return Object.fromEntries(
    Object.entries({ create, recreate, takeAway, start })
      .filter(([, names]) => names.length > 0)
      .map(([key, names]) => [key, [...new Set(names)].sort()]),
  );
}
