import pLimit, { type LimitFunction } from "p-limit";
import { redact, tail } from "../../errors.ts";
import { quote } from "../../host/core/script.ts";
import { uriOnHost } from "../../host/core/uri-on-host.ts";
import { type Host, openHost } from "../../host/effects/host.ts";
import { SharedLooks } from "../../host/effects/shared-looks.ts";
import { traceParent } from "../../telemetry/effects/telemetry.ts";
import { renderProbe } from "../core/commands.ts";
import { defaultTextfiles } from "../core/metrics-library.ts";
import { buildFailure, type ScriptSubject } from "../core/failures.ts";
import { type CacheLayout, cacheLayout, defaultCacheFolder } from "../core/layout.ts";
import { type HostObservation, parseProbe, parseScriptReport } from "../core/parsers.ts";

/**
 * How many scripts of each kind a host runs at once; behind SSH ten together, since sshd allows no more
 * sessions in a shared connection. A copy waits for a convert, a convert for a fetch, which is one of the
 * others, so no kind may take another one's place. What decodes has up to four threads: more than two at
 * once only make each other slower.
 */
const atOnce = {
  local: { convert: 2, copy: 8, other: 8 },
  ssh: { convert: 2, copy: 4, other: 4 },
};
type Load = keyof (typeof atOnce)["ssh"];

interface KnownHost {
  host: Host;
  limits: Record<Load, LimitFunction>;
}

const known = new Map<string, KnownHost>();
const looks = new SharedLooks<HostObservation>();

function knownHost(uri: string): KnownHost {
  const existing = known.get(uri);
  if (existing !== undefined) return existing;
  const host = openHost(uri);
  const most = atOnce[host.connection.kind];
  const created = {
    host,
    limits: {
      convert: pLimit(most.convert),
      copy: pLimit(most.copy),
      other: pLimit(most.other),
    },
  };
  known.set(uri, created);
  return created;
}

/** The cache of every host: GROUNDWORK_IMAGE_CACHE, or its default. */
export function readCacheLayout(env: NodeJS.ProcessEnv = process.env): CacheLayout {
  return cacheLayout(env["GROUNDWORK_IMAGE_CACHE"] ?? defaultCacheFolder);
}

/** The libvirt URI under which the host itself reaches its daemon. */
export function localUri(uri: string): string {
  return uriOnHost(knownHost(uri).host.connection);
}

/**
 * Looks at a host's volumes and cache. All who ask within a few seconds share one look, unless
 * `fresh` asks for one that begins now.
 *
 * @throws GroundworkError `host-unreachable`, `command-failed`, or what `parseProbe` throws
 */
export function observeHost(
  uri: string,
  options: { fresh?: boolean } = {},
): Promise<HostObservation> {
  const { host } = knownHost(uri);
  const look = (): Promise<HostObservation> =>
    host
      .run(renderProbe(readCacheLayout()), { purpose: "look at the volumes", timeoutSeconds: 60 })
      .then((printed) => parseProbe(printed, host.name));
  return looks.take(uri, look, options);
}

/** Makes the next look at a host a fresh one: something has changed there. */
export function forgetObservation(uri: string): void {
  looks.forget(uri);
}

export interface ScriptRun {
  subject: Omit<ScriptSubject, "hostName">;
  timeoutSeconds: number;
  /** Default: other. */
  load?: Load;
  onLine?: (line: string) => void;
  secrets?: readonly string[];
  /** Ends the script early, with all that it started. */
  signal?: AbortSignal;
}

/**
 * Runs one of our scripts and returns the values that it printed.
 * @throws GroundworkError what its `@fail` line means, `command-failed`, `host-unreachable`, …
 */
export async function runScript(
  uri: string,
  script: string,
  options: ScriptRun,
): Promise<ReadonlyMap<string, string>> {
  const { host, limits } = knownHost(uri);
  const { subject, load = "other", secrets = [], ...rest } = options;
  const parent = traceParent();
  const traced = [
    ...(parent === undefined ? [] : [`export TRACEPARENT=${parent}`]),
    `gw_textfiles=${quote(process.env["GROUNDWORK_TEXTFILE_DIRECTORY"] ?? defaultTextfiles)}`,
    script,
  ].join("\n");
  const run = (): Promise<string> =>
    host.run(traced, { ...rest, secrets, purpose: subject.purpose });
  const report = parseScriptReport(await limits[load](run));
  if (report.failure === undefined) return report.values;
  const detail = redact(tail(report.failure.detail), secrets);
  throw buildFailure({ ...report.failure, detail }, { ...subject, hostName: host.name });
}

/** How a host is called in messages. */
export function hostName(uri: string): string {
  return knownHost(uri).host.name;
}
