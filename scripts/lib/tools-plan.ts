import { GroundworkError } from "../../providers/errors.ts";
import { pins, type ToolGroup, type ToolName, toolNames, tools } from "./tools-pins.ts";

/** Where tools come from: the vendors' own downloads, or the Go and npm registries alone. */
export type ToolSource = "vendor" | "registries";

/** What is known of one tool on this machine. */
export interface ToolState {
  /** `current`: as pinned; `other`: put there by someone else; `outdated`: ours, of another pin. */
  readonly installed: "current" | "other" | "outdated" | "absent";
  /** True when the tools' cache holds it made from exactly these sources. */
  readonly cached: boolean;
}

export interface ToolFacts {
  readonly source: ToolSource;
  /** What `go env GOVERSION` says, such as `go1.26.8`; `undefined` without Go. */
  readonly goVersion: string | undefined;
  readonly states: Readonly<Record<ToolName, ToolState>>;
}

/** What is done about one tool. `leave`: the bridge downloads it itself when it first needs it. */
export interface ToolStep {
  readonly tool: ToolName;
  readonly action: "keep" | "install" | "build" | "download" | "leave";
  /** Roughly how long it takes, in seconds. */
  readonly seconds: number;
}

/** The tools that the CLI's own download brings along; beside a CLI that is there already they are made here. */
const bundled: ReadonlySet<ToolName> = new Set(["language-host", "dynamic-launcher"]);

/** Rough durations of what is no build, in seconds. */
const installSeconds = 1;
const downloadSeconds = 30;

/** The tools that set-up sees to: those of every lab, and those that only the given groups use. */
export function wantedTools(groups: readonly ToolGroup[]): ToolName[] {
  return toolNames.filter((tool) => {
    const { only } = tools[tool];
    return only === undefined || only.some((group) => groups.includes(group));
  });
}

/** True when nothing has to be done, so that nothing has to be probed either. */
export function isReady(states: ToolFacts["states"], wanted: readonly ToolName[]): boolean {
  return wanted.every((tool) => isKept(states[tool]));
}

/**
 * The steps that bring every tool to its pinned version, in the order in which they run.
 * Throws `go-missing` or `go-too-old` when something must be built and cannot be.
 */
export function planTools(facts: ToolFacts, wanted: readonly ToolName[]): ToolStep[] {
  const steps = wanted.map((tool) => planTool(tool, facts));
  const first = steps.find(({ tool, action }) => action === "build" && needsGo(tool));
  if (first !== undefined) requireGo(facts.goVersion, first.tool);
  return steps;
}

function planTool(tool: ToolName, facts: ToolFacts): ToolStep {
  const state = facts.states[tool];
  if (isKept(state)) return { tool, action: "keep", seconds: 0 };
  const withCli = bundled.has(tool) && isKept(facts.states.pulumi);
  if (facts.source === "vendor" && !withCli && tools[tool].only === undefined)
    return planDownload(tool);
  return state.cached
    ? { tool, action: "install", seconds: installSeconds }
    : { tool, action: "build", seconds: tools[tool].buildSeconds };
}

function planDownload(tool: ToolName): ToolStep {
  if (tool === "libvirt-provider") return { tool, action: "leave", seconds: 0 };
  return { tool, action: "download", seconds: bundled.has(tool) ? 0 : downloadSeconds };
}

function isKept(state: ToolState): boolean {
  return state.installed === "current" || state.installed === "other";
}

function needsGo(tool: ToolName): boolean {
  return tools[tool].recipe.kind !== "script";
}

function requireGo(version: string | undefined, tool: ToolName): void {
  const install = `Install Go ${pins.go} or newer (https://go.dev/dl) and run the same command again`;
  const built = tools[tool].only !== undefined;
  const instead = built
    ? `${install}.`
    : `${install}, or let this machine reach get.pulumi.com, where nothing is built.`;
  const purpose = built
    ? `${tools[tool].title} is always built from its modules`
    : `${tools[tool].title} has to be built, because this machine does not reach its vendor's download`;
  if (version === undefined)
    throw new GroundworkError({
      code: "go-missing",
      message: `${purpose}, and there is no Go on PATH.`,
      next: instead,
    });
  if (compareGo(version, pins.go) < 0)
    throw new GroundworkError({
      code: "go-too-old",
      message: `${purpose}, and Go here is ${version} where ${pins.go} or newer is expected.`,
      next: instead,
    });
}

/** Negative when release `a` of Go (`go1.24.3` or `1.24`) is older than `b`. */
export function compareGo(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = parseGo(a);
  const [majorB = 0, minorB = 0] = parseGo(b);
  return majorA - majorB || minorA - minorB;
}

function parseGo(version: string): number[] {
  return (/(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number);
}

/** One line for the user on what happens to a tool; `undefined` when nothing does. */
export function describeStep(step: ToolStep): string | undefined {
  const { title, why } = tools[step.tool];
  const about = `${title} (${why})`;
  switch (step.action) {
    case "keep":
      return undefined;
    case "install":
      return `install ${about} from the cache, ${renderDuration(step.seconds)}`;
    case "build":
      return `build ${about}, ${renderDuration(step.seconds)}`;
    case "download":
      return step.seconds === 0
        ? `${about} comes with the CLI`
        : `download ${about}, ${renderDuration(step.seconds)}`;
    case "leave":
      return `${about} is downloaded by the bridge when it first needs it`;
  }
}

/** `about 3 min`, `about 15 s`: never more exact than it is known. */
export function renderDuration(seconds: number): string {
  return seconds >= 90
    ? `about ${String(Math.round(seconds / 60))} min`
    : `about ${String(seconds)} s`;
}
