import { mkdirSync } from "node:fs";
import { GroundworkError } from "../../providers/errors.ts";
import { describeStep, describeUse } from "../core/describe.ts";
import { layoutOf } from "../core/layout.ts";
import type { Observed } from "../core/observed.ts";
import { factsOf, notRoot, planEmbedded } from "../core/plan.ts";
import type { EmbeddedFacts, EmbeddedOptions, EmbeddedStep, Part, Refusal } from "../core/types.ts";
import { writeFacts } from "./facts.ts";
import * as hypervisor from "./hypervisor.ts";
import { withLock } from "./lock.ts";
import * as objectStore from "./object-store.ts";
import { observe, withRealHome } from "./observe.ts";
import { endProcesses } from "./processes.ts";
import * as volumeGroup from "./volume-group.ts";

/** More rounds than the longest way from nothing takes; one more would never end. */
const mostRounds = 6;

type Report = (line: string) => void;

/**
 * Sees to it that a hypervisor, a volume group and an object store are there: each is used where it
 * answers, and else started. Repeating it changes nothing; after a crash or a restart of the machine
 * it repairs what is missing.
 *
 * @param report gets a line for every thing that is started, and one per part for what is in use.
 * @throws GroundworkError with the reasons why it cannot be done, before anything is changed.
 */
export async function ensureEmbedded(
  given: EmbeddedOptions,
  report: Report,
): Promise<EmbeddedFacts> {
  requireRoot();
  mkdirSync(given.home, { recursive: true });
  const options = withRealHome(given);
  return withLock(options.home, report, async () => {
    for (let round = 0; round < mostRounds; round += 1) {
      const observed = await observe(options);
      const { steps, refusals } = planEmbedded(options, observed);
      if (refusals.length > 0) throw refusalError(refusals);
      if (steps.length === 0) return finish(options, observed, report);
      mkdirSync(layoutOf(options).root, { recursive: true, mode: 0o755 });
      await runSteps(options, observed, steps, report);
    }
    throw new GroundworkError({
      code: "embedded-does-not-settle",
      message: `The embedded parts in ${options.home} are not as they should be after ${String(mostRounds)} attempts.`,
      next: "Run `make down`, then the same command again; see the logs in embedded/log.",
    });
  });
}

function finish(options: EmbeddedOptions, observed: Observed, report: Report): EmbeddedFacts {
  const layout = layoutOf(options);
  const found = objectStore.readCredentials(options);
  if (found === undefined) throw new Error("a settled object store has credentials");
  mkdirSync(layout.root, { recursive: true, mode: 0o755 });
  if (found.file === layout.credentials)
    objectStore.writeCredentials(found.file, found.credentials);
  const facts = factsOf(options, observed, found.file);
  writeFacts(options, facts);
  for (const line of describeUse(options, facts)) report(line);
  return facts;
}

/** The parts side by side, the steps of a part in order; the first failure waits for the others to end. */
async function runSteps(
  options: EmbeddedOptions,
  observed: Observed,
  steps: readonly EmbeddedStep[],
  report: Report,
): Promise<void> {
  const runPart = async (part: Part): Promise<void> => {
    for (const step of steps.filter((candidate) => candidate.part === part)) {
      const line = describeStep(options, observed, step);
      if (line !== undefined) report(line);
      await runStep(options, observed, step);
    }
  };
  const parts = ["hypervisor", "volumeGroup", "objectStore"] as const;
  const outcomes = await Promise.allSettled(parts.map(runPart));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function runStep(
  options: EmbeddedOptions,
  observed: Observed,
  step: EmbeddedStep,
): Promise<void> {
  const { activation } = observed.volumeGroup;
  switch (step.do) {
    case "endProcesses":
      return endProcesses(step.processes);
    case "makeNamespace":
      return hypervisor.makeNamespace(options);
    case "adoptNamespace":
      return hypervisor.adoptNamespace(options, step.pid);
    case "prepareLibvirt":
      return hypervisor.prepareLibvirt(options);
    case "startDaemon":
      return hypervisor.startLibvirtDaemon(options, step.daemon);
    case "awaitLibvirt":
      return hypervisor.awaitLibvirt(options);
    case "startNetwork":
      return hypervisor.startDefaultNetwork(options);
    case "removeVolumeGroup":
      return volumeGroup.removeVolumeGroup(step.group, observed.volumeGroup);
    case "detachLoops":
      return volumeGroup.detachLoops(step.loops);
    case "makeVolumeFile":
      volumeGroup.makeVolumeFile(options, step.bytes);
      return;
    case "growVolumeFile":
      return volumeGroup.growVolumeFile(options, activation, step.bytes, step.loop);
    case "attachVolumeFile":
      return volumeGroup.attachVolumeFile(options);
    case "makeVolumeGroup":
      return volumeGroup.makeVolumeGroup(options, activation, step.loop);
    case "activateVolumes":
      return volumeGroup.activateVolumes(options, activation);
    case "makeCredentials":
      objectStore.makeCredentials(options);
      return;
    case "startObjectStore":
      return objectStore.startObjectStore(options);
    case "makeBucket":
      return objectStore.makeBucket(options);
  }
}

/** @throws GroundworkError `not-root`. */
export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw refusalError([notRoot]);
}

/** One error for all reasons; its code is that of the first. */
function refusalError(refusals: readonly Refusal[]): GroundworkError {
  const [first, ...others] = refusals;
  if (first === undefined) throw new Error("there is no reason to refuse");
  const more = others.map((refusal) => `\n${refusal.message} ${refusal.next}`).join("");
  return new GroundworkError({
    code: first.code,
    message: first.message,
    next: `${first.next}${more}`,
  });
}
