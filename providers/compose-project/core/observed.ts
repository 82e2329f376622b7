import { z } from "zod";
import { composeError } from "./errors.ts";
import { type Disk, parseDisks } from "./room.ts";

const stateSchema = z.object({
  version: z.literal(1),
  /** Name of the release's folder. */
  release: z.string().regex(/^[A-Za-z0-9._-]+$/),
  /** Digest of its files, `.env` included. */
  digest: z.string(),
  services: z.record(z.string(), z.object({ definition: z.string(), files: z.string() })),
});

/** What a host says of the last deployment that went well. */
export type DeployedState = z.output<typeof stateSchema>;

export interface Container {
  id: string;
  service: string;
  /** Docker's word, such as `running`, `exited`, `restarting`. */
  status: string;
  health: "" | "starting" | "healthy" | "unhealthy";
  exitCode: number;
}

/** A host, as far as a project is concerned. */
export interface ObservedProject {
  /** Version of Docker's engine; undefined where it does not answer. */
  engine?: string;
  /** Version of Compose V2. */
  compose?: string;
  /** Those that the project and Docker's data are on. */
  disks: Disk[];
  /** Who owns the store; undefined where there is none. */
  owner?: string;
  /** Something is at the path that is not a link of ours. */
  occupied: boolean;
  /** The release that the link names. */
  release?: string;
  state?: DeployedState;
  /** SHA-256 of the state file, by which a deployment knows that nobody came between. */
  stateDigest: string;
  files: { path: string; sha256: string; mode: string }[];
  containers: Container[];
  /** One-shot services that had ended well when the last deployment was done. */
  ended: string[];
}

/** Reads the lines `<key> TAB <base64>` of the observing script. */
export function parseObserved(output: string): ObservedProject {
  const values = parseRecords(output);
  const text = (key: string): string => values.get(key)?.trim() ?? "";
  const modes = new Map(
    nulSeparated(values.get("modes")).map((line) => [line.slice(line.indexOf(" ") + 1), line]),
  );
  const containers = text("containers").split("\n").filter(Boolean).map(parseContainer);
  const state = parseState(text("state"));
  return {
    ...(text("engine") !== "" && { engine: text("engine") }),
    ...(text("compose") !== "" && { compose: text("compose") }),
    disks: parseDisks(text("disks")),
    ...(text("owner") !== "" && { owner: text("owner") }),
    occupied: text("occupied") === "yes",
    ...(text("release") !== "" && { release: text("release") }),
    ...(state !== undefined && { state }),
    stateDigest: text("stateDigest"),
    files: nulSeparated(values.get("sums")).map((line) => {
      const path = line.slice(66).replace(/^\.\//, "");
      const mode = modes.get(path)?.split(" ")[0] ?? "";
      return { path, sha256: line.slice(0, 64), mode: mode.padStart(4, "0") };
    }),
    containers,
    ended: text("ended").split("\n").filter(Boolean),
  };
}

/** The records of a script's output; other lines are what programs said and are left out. */
export function parseRecords(output: string): Map<string, string> {
  const records = new Map<string, string>();
  for (const line of output.split("\n")) {
    const [, key, value] = /^@([A-Za-z]+)\t([A-Za-z0-9+/=]*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined)
      records.set(key, Buffer.from(value, "base64").toString("utf8"));
  }
  return records;
}

function nulSeparated(text = ""): string[] {
  return text.split("\0").filter((line) => line !== "");
}

function parseContainer(line: string): Container {
  const [id = "", service = "", status = "", health = "", exitCode = ""] = line.split("|");
  const known = ["starting", "healthy", "unhealthy"] as const;
  return {
    ...{ id, service, status, exitCode: Number(exitCode) },
    health: known.find((word) => word === health) ?? "",
  };
}

function parseState(text: string): DeployedState | undefined {
  if (text === "") return undefined;
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw composeError(
      "bad-deployed-state",
      "The state file of the last deployment on the host cannot be read.",
      "If nobody changed it by hand, remove `state.json` in the folder named like the project's with a dot before it; the next deployment writes it anew.",
      cause,
    );
  }
}

export function renderState(state: DeployedState): string {
  return `${JSON.stringify(state)}\n`;
}

/** Whether a container does what it is there for. */
export function isSettled(container: Container, ended: readonly string[]): boolean {
  if (container.status === "running")
    return container.health === "" || container.health === "healthy";
  return (
    container.status === "exited" && container.exitCode === 0 && ended.includes(container.service)
  );
}
