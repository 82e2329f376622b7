import * as path from "node:path";
import { z } from "zod";

/** Who holds a stack, as Pulumi's file backend writes it down. */
const lockSchema = z.object({ pid: z.int(), hostname: z.string(), timestamp: z.string() });

export interface Lock extends z.infer<typeof lockSchema> {
  file: string;
}

/** Reads a lock file; `undefined` for one that is half written. */
export function parseLock(file: string, text: string): Lock | undefined {
  try {
    return { file, ...lockSchema.parse(JSON.parse(text)) };
  } catch {
    return undefined;
  }
}

/** A process of this machine. */
export interface Process {
  pid: number;
  parent: number;
  command: readonly string[];
  /** Its GROUNDWORK_HOME. */
  home?: string;
}

/** A lock of this machine whose Pulumi is gone is stale; all others are held. */
export function planLocks(
  locks: readonly Lock[],
  processes: readonly Process[],
  hostname: string,
): { stale: Lock[]; held: Lock[] } {
  const alive = new Set(processes.filter(isPulumi).map(({ pid }) => pid));
  const isStale = (lock: Lock): boolean => lock.hostname === hostname && !alive.has(lock.pid);
  return {
    stale: locks.filter(isStale),
    held: locks.filter((lock) => !isStale(lock)),
  };
}

function isPulumi(process: Process): boolean {
  return path.basename(process.command[0] ?? "") === "pulumi";
}

/** Language hosts, provider plugins and programs that Pulumi starts. */
function isPlugin({ command }: Process): boolean {
  return command
    .slice(0, 3)
    .some(
      (word) =>
        /^(pulumi-language|pulumi-resource|terraform-provider)-/.test(path.basename(word)) ||
        /@pulumi\/pulumi\/cmd\/(run|dynamic-provider)(\/index\.js)?$/.test(word),
    );
}

/** Plugins of this home folder that outlived a Pulumi which was killed; they may still be at work. */
export function planOrphans(processes: readonly Process[], home: string): number[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const hasPulumi = (process: Process | undefined, seen: ReadonlySet<number>): boolean =>
    process !== undefined &&
    !seen.has(process.pid) &&
    (isPulumi(process) || hasPulumi(byPid.get(process.parent), new Set([...seen, process.pid])));
  return processes
    .filter((process) => process.home === home && isPlugin(process))
    .filter((process) => !hasPulumi(process, new Set()))
    .map(({ pid }) => pid);
}

const resourceSchema = z.looseObject({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  delete: z.boolean().optional(),
  provider: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).default({}),
});

export const exportSchema = z.looseObject({
  deployment: z.looseObject({
    resources: z.array(resourceSchema).nullish(),
    pending_operations: z
      .array(z.looseObject({ resource: resourceSchema, type: z.string() }))
      .nullish(),
  }),
});

/** What `pulumi stack export` prints, secrets encrypted. */
export type Export = z.infer<typeof exportSchema>;
type Resource = z.infer<typeof resourceSchema>;

/** A libvirt object that an interrupted create may have left without Pulumi's knowing. */
export interface Leftover {
  kind: "domain" | "volume" | "network" | "pool";
  name: string;
  /** The pool of a volume. */
  pool?: string;
  /** Undefined for the default of the environment. */
  uri?: string;
  /** Texts that its XML must contain to be what the interrupted run was to create. */
  evidence: readonly string[];
}

const kinds: Record<string, Leftover["kind"]> = {
  "libvirt:index/domain:Domain": "domain",
  "libvirt:index/cloudinitDisk:CloudinitDisk": "volume",
  "libvirt:index/volume:Volume": "volume",
  "libvirt:index/network:Network": "network",
  "libvirt:index/pool:Pool": "pool",
};

/** In the order in which they can go: users before what they use. */
const order = ["domain", "volume", "network", "pool"];

const text = (value: unknown): string[] => (typeof value === "string" ? [value] : []);
const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
const each = (value: unknown, name: string): string[] =>
  Array.isArray(value) ? value.flatMap((element) => text(field(element, name))) : [];

function evidenceOf(kind: Leftover["kind"], inputs: Record<string, unknown>): string[] {
  switch (kind) {
    case "domain":
      return [
        ...each(inputs["disks"], "blockDevice").map((device) => `dev='${device}'`),
        ...each(inputs["networkInterfaces"], "mac").map(
          (mac) => `<mac address='${mac.toLowerCase()}'/>`,
        ),
      ];
    case "network":
      return [
        ...text(inputs["bridge"]).map((bridge) => `name='${bridge}'`),
        ...text(inputs["domain"]).map((domain) => `<domain name='${domain}'`),
      ];
    case "pool":
      return [...text(inputs["path"]), ...text(field(inputs["target"], "path"))].map(
        (folder) => `<path>${folder}</path>`,
      );
    case "volume":
      return text(inputs["name"]).map((name) => `<name>${name}</name>`);
  }
}

function leftoverOf(resource: Resource, recorded: readonly Resource[]): Leftover[] {
  const kind = kinds[resource.type];
  const [name] = text(resource.inputs["name"]);
  if (kind === undefined || name === undefined) return [];
  const same = (other: Resource): boolean =>
    other.type === resource.type && other.inputs["name"] === name;
  if (recorded.some(same)) return []; // what is there may be the recorded one
  const evidence = evidenceOf(kind, resource.inputs);
  const [pool] = text(resource.inputs["pool"]);
  const poolIsOurs = recorded.some(
    (other) => kinds[other.type] === "pool" && other.inputs["name"] === pool,
  );
  if (evidence.length === 0 || (kind === "volume" && !poolIsOurs)) return [];
  const providerUrn = resource.provider?.slice(0, resource.provider.lastIndexOf("::"));
  const provider = recorded.find(({ urn }) => urn === providerUrn);
  const [uri] = text(provider?.inputs["uri"]);
  return [
    {
      kind,
      name,
      evidence,
      ...(kind === "volume" && pool !== undefined && { pool }),
      ...(uri !== undefined && { uri }),
    },
  ];
}

/** What to do about operations that were under way when Pulumi was killed. */
export interface PendingPlan {
  /** One line for each operation. */
  operations: string[];
  /** Look for these and remove them: Pulumi will create them again. */
  leftovers: Leftover[];
  /** Resources of which Pulumi must ask anew what became of them. */
  refresh: string[];
  /** The deployment without pending operations, to be imported. */
  cleaned: Export;
}

/** `undefined` when nothing is pending. */
export function planPending(exported: Export): PendingPlan | undefined {
  const pending = exported.deployment.pending_operations ?? [];
  if (pending.length === 0) return undefined;
  const recorded = exported.deployment.resources ?? [];
  const creates = pending.filter(({ type }) => type === "creating");
  const known = new Set(recorded.map(({ urn }) => urn));
  return {
    operations: pending.map(
      ({ resource, type }) => `${type} ${resource.urn.split("::").slice(2).join(" ")}`,
    ),
    leftovers: creates
      .flatMap(({ resource }) => leftoverOf(resource, recorded))
      .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind)),
    refresh: [
      ...new Set(
        pending
          .filter(({ type }) => type !== "creating")
          .map(({ resource }) => resource.urn)
          .filter((urn) => known.has(urn)),
      ),
    ],
    cleaned: { ...exported, deployment: { ...exported.deployment, pending_operations: [] } },
  };
}
