import type { Host } from "../../host/effects/host.ts";
import type { ComposeProjectArguments } from "../core/arguments.ts";
import { composeError } from "../core/errors.ts";
import { environmentFile, layoutOf } from "../core/layout.ts";
import { parseRecords } from "../core/observed.ts";
import { outcomeError } from "../core/outcome.ts";
import { renderRemove } from "../core/remove.ts";
import { observe } from "./project.ts";

/** The files on the host by name, with digest and mode; undefined where the project is not ours or gone. */
export async function readProject(
  host: Host,
  args: ComposeProjectArguments,
): Promise<Record<string, string> | undefined> {
  const { owner, state, files } = await observe(host, args);
  if (owner !== args.owner || state === undefined) return undefined;
  return Object.fromEntries(
    files
      .filter(({ path }) => path !== environmentFile)
      .map(({ path, sha256, mode }) => [path, `${sha256.slice(0, 16)} ${mode}`]),
  );
}

/**
 * Takes the project down; its volumes stay unless `deleteData` says otherwise.
 * @throws GroundworkError `project-not-ours`, `deployment-under-way`, `engine-missing`
 */
export async function removeProject(host: Host, args: ComposeProjectArguments): Promise<void> {
  const output = await host.run(renderRemove(layoutOf(args.path), args), {
    purpose: `take down the project ${args.path}`,
    timeoutSeconds: 600 + args.lockTimeoutSeconds,
  });
  switch (parseRecords(output).get("result")) {
    case "done":
      return;
    case "busy":
      throw outcomeError(args.project, host.name, { kind: "busy" });
    case "silent":
      throw composeError(
        "engine-missing",
        `Cannot take down project "${args.project}" on ${host.name}: Docker's engine does not answer.`,
        "Start it, then run the same command again.",
      );
    default:
      throw composeError(
        "project-not-ours",
        `Refused to take down the project at ${args.path} on ${host.name}: it does not belong to ${args.owner}.`,
        "Remove the resource from the state with `pulumi state delete`.",
      );
  }
}
