import type { LabOutputs } from "./outputs.ts";
import type { Timing } from "./phases.ts";
import { formatSeconds, formatTable } from "./units.ts";

/** The commands for the machines, one line each. */
export function renderMachines({ machines }: LabOutputs): string[] {
  const all = Object.values(machines);
  if (all.length === 0) return ["No machines."];
  return formatTable([
    ["MACHINE", "ADDRESS", "SSH"],
    ...all.map(({ name, addresses, sshCommand }) => [name, addresses.join(", "), sshCommand]),
  ]);
}

function renderServices({ observability }: LabOutputs): string[] {
  const urls = Object.entries(observability?.urls ?? {});
  return urls.length === 0 ? [] : [...formatTable([["SERVICE", "URL"], ...urls]), ""];
}

/** What `make up` says at its end: how to reach the machines, where the time went, what is next. */
export function renderSummary(
  stack: string,
  outputs: LabOutputs,
  timings: readonly Timing[],
): string[] {
  const machines = Object.values(outputs.machines);
  const total = timings.reduce((sum, { seconds }) => sum + seconds, 0);
  const select = stack === "local" ? "" : ` STACK=${stack}`;
  const [first] = machines;
  return [
    "",
    ...renderMachines(outputs),
    "",
    ...(machines.length === 0
      ? []
      : [
          ...formatTable(
            machines.map(({ name, serialLogPath }) => [`serial log of ${name}`, serialLogPath]),
          ),
          "",
        ]),
    ...renderServices(outputs),
    ...formatTable([
      ...timings.map(({ title, seconds }) => [title, formatSeconds(seconds)]),
      ["Total", formatSeconds(total)],
    ]),
    "",
    "Next:",
    ...formatTable([
      ...(first === undefined
        ? []
        : [[`  make ssh${select} M=${first.name}`, `a shell on ${first.name}`]]),
      [`  make preview${select}`, "what a change of the stack file would do"],
      [`  make down${select}`, "remove everything"],
    ]),
  ];
}
