import { tail } from "../../errors.ts";
import { composeError } from "./errors.ts";
import { parseRecords } from "./observed.ts";

/** What came of a deployment. */
export type Outcome =
  | { kind: "done" }
  | { kind: "busy" }
  | { kind: "moved" }
  | { kind: "refused"; reason: string }
  | {
      kind: "failed";
      /** What went wrong: `compose up`, or the smoke tests after it. */
      stage: "up" | "smoke";
      reason: string;
      services: FailedService[];
      /** `none`: there was no previous project, so nothing runs. */
      rollback: "done" | "none" | { failed: string };
    };

export interface FailedService {
  name: string;
  status: string;
  health: string;
  exitCode: number;
  log: string;
}

/** Reads what the activating script said. */
export function parseOutcome(output: string): Outcome {
  const records = parseRecords(output);
  const text = (key: string): string => records.get(key)?.trim() ?? "";
  const kind = text("result");
  if (kind === "done" || kind === "busy" || kind === "moved") return { kind };
  if (kind === "refused") return { kind, reason: text("reason") };
  const rollback = text("rollback");
  return {
    kind: "failed",
    stage: text("stage") === "smoke" ? "smoke" : "up",
    reason: text("reason"),
    services: text("failed").split("\n").filter(Boolean).map(parseFailed),
    rollback: rollback === "done" || rollback === "none" ? rollback : { failed: rollback },
  };
}

function parseFailed(line: string): FailedService {
  const [name = "", status = "", health = "", exitCode = "", log = ""] = line.split("|");
  return {
    ...{ name, status, health, exitCode: Number(exitCode) },
    log: Buffer.from(log, "base64").toString("utf8").trimEnd(),
  };
}

const indented = (text: string): string => tail(text, 20).replaceAll(/^/gm, "    ");

function describeService({ name, status, health, exitCode, log }: FailedService): string {
  const state = health !== "" && status === "running" ? health : status;
  const code = status === "running" ? "" : ` (exit code ${String(exitCode)})`;
  const said = log === "" ? ", and logged nothing" : `; the end of its log:\n${indented(log)}`;
  return `Service "${name}" is ${state}${code}${said}`;
}

/** The error for everything but `done` and `moved`. */
export function outcomeError(
  project: string,
  host: string,
  outcome: Exclude<Outcome, { kind: "done" } | { kind: "moved" }>,
): Error {
  const start = `Cannot deploy project "${project}" to ${host}`;
  if (outcome.kind === "busy")
    return composeError(
      "deployment-under-way",
      `${start}: another deployment holds its lock.`,
      "Wait until that one is done, then run the same command again.",
    );
  if (outcome.kind === "refused")
    return composeError(
      "project-refused",
      `${start}: ${outcome.reason.replace(/\.$/, "")}. Nothing was stopped or changed.`,
      "Mend what the message names, then run the same command again.",
    );
  const { services, stage, reason, rollback } = outcome;
  const what = stage === "smoke" ? "its smoke test failed" : "it did not come up";
  const back =
    rollback === "done"
      ? "The previous project runs again."
      : rollback === "none"
        ? "There was no previous project, so what it had made was removed."
        : `The previous project did NOT come up again:\n${indented(rollback.failed)}`;
  return composeError(
    stage === "smoke" ? "smoke-test-failed" : "deployment-failed",
    [`${start}: ${what}.`, ...services.map(describeService), indented(reason), back].join("\n"),
    "Mend it, then run the same command again.",
  );
}
