import * as fs from "node:fs";
import * as path from "node:path";
import { type Host, openHost } from "../../host/effects/host.ts";

/** Pulumi starts us in the project's folder. */
function home(): string {
  return process.env["GROUNDWORK_HOME"] ?? path.resolve(".groundwork");
}

/**
 * Opens the host of a project: `machine:<name>` by the SSH files of the stack, anything else as
 * `parseHostUri` reads it. Undefined for a machine that is not there yet.
 */
export function openTarget(args: { host: string; stack: string }): Host | undefined {
  const [, machine] = /^machine:([A-Za-z0-9][A-Za-z0-9_.-]*)$/.exec(args.host) ?? [];
  if (machine === undefined) return openHost(args.host);
  const folder = path.join(home(), "ssh", args.stack);
  if (!fs.existsSync(path.join(folder, "machines", `${machine}.json`))) return undefined;
  const query = new URLSearchParams({ config: path.join(folder, "config") });
  return openHost(`ssh://${machine}?${query.toString()}`);
}
