/** What set-up installs beside the npm packages: versions, places and the plan to get there. */
export { pins, toolNames, tools } from "./tools-pins.ts";
export type { Recipe, Tool, ToolName } from "./tools-pins.ts";
export {
  cacheRoot,
  downloadedMinio,
  minioBinary,
  minioCandidates,
  pulumiHome,
  pulumiRoot,
  toolPaths,
} from "./tools-paths.ts";
export { describeStep, isReady, planTools } from "./tools-plan.ts";
export type { ToolFacts, ToolSource, ToolState, ToolStep } from "./tools-plan.ts";
