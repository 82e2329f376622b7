import { provisioning, serviceLevels } from "./objectives.ts";
import type { Dashboard } from "./panels.ts";
import { collector, containers, host } from "./platform.ts";
import { logDashboard, serviceOverview, traces } from "./services.ts";

export { renderDashboard } from "./render.ts";
export type { Dashboard };

/** All dashboards that are provisioned. */
export const dashboards: readonly Dashboard[] = [
  serviceOverview,
  traces,
  logDashboard,
  host,
  containers,
  collector,
  serviceLevels,
  provisioning,
];
