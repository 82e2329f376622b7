import type { Machine, ObjectStoreObserved } from "./observed.ts";
import type { EmbeddedOptions, EmbeddedPlan, EmbeddedStep } from "./types.ts";

/** What brings the object store about: at most a bucket where one answers with our credentials. */
export function planObjectStore(
  options: EmbeddedOptions,
  machine: Machine,
  seen: ObjectStoreObserved,
): EmbeddedPlan {
  const part = "objectStore";
  const { endpoint, bucket } = options.objectStore;
  const refuse = (code: string, message: string, next: string): EmbeddedPlan => ({
    steps: [],
    refusals: [{ code, message, next }],
  });
  const ours = seen.processes.length > 0;
  const healthy = seen.answer.state === "ready" && (!ours || seen.folder);
  if (healthy)
    return {
      steps:
        seen.answer.state === "ready" && !seen.answer.bucket ? [{ part, do: "makeBucket" }] : [],
      refusals: [],
    };

  if (!ours && seen.answer.state === "denied")
    return refuse(
      "object-store-denied",
      `An object store answers at ${endpoint} and refuses our access to bucket "${bucket}": ${seen.answer.reason}.`,
      "Export MINIO_ACCESS_KEY and MINIO_SECRET_KEY for it, or set groundwork:objectStore endpoint to a free port for a store of our own.",
    );
  if (!ours && seen.answer.state === "other")
    return refuse(
      "object-store-port-taken",
      `Port ${String(seen.port)} is taken by ${seen.portHolder ?? "a process that cannot be seen"}, which is no object store that we can use: ${seen.answer.reason}.`,
      "Set groundwork:objectStore endpoint to another port, or stop that process.",
    );
  if (!seen.loopback)
    return refuse(
      "object-store-unreachable",
      `The object store at ${endpoint} does not answer. Only a store on this machine's loopback is started by us.`,
      "Start it, or set groundwork:objectStore endpoint to http://127.0.0.1:9000.",
    );
  if (new URL(endpoint).protocol !== "http:")
    return refuse(
      "object-store-unreachable",
      `The object store at ${endpoint} does not answer, and a store of our own speaks plain HTTP on the loopback only.`,
      "Start it, or set groundwork:objectStore endpoint to an http:// address.",
    );
  if (!seen.folder && !ours && machine.facts?.objectStore.kind === "existing")
    return refuse(
      "object-store-gone",
      `The object store at ${endpoint}, which was there before us and which this stack uses, does not answer any more.`,
      "Start it, or run `make down` to give up what is in it.",
    );

  const steps: EmbeddedStep[] = [];
  if (ours)
    steps.push({
      part,
      do: "endProcesses",
      processes: seen.processes,
      why: seen.folder ? "it does not answer as configured" : "its folder was removed",
    });
  if (!seen.credentials) steps.push({ part, do: "makeCredentials" });
  steps.push({ part, do: "startObjectStore" });
  return { steps, refusals: [] };
}
