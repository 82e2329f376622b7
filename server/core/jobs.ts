import { z } from "zod";
import { GroundworkError } from "../../providers/errors.ts";
import {
  type ImageReference,
  argumentsSchema,
} from "../../providers/image-volume/core/arguments.ts";
import { jobStatus, progress, type Progress, type StatusResponse } from "./schemas.ts";

const work = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("provision"),
    image: argumentsSchema.shape.image.unwrap(),
    volumeName: argumentsSchema.shape.volumeName,
    sizeGiB: argumentsSchema.shape.sizeGiB,
  }),
  z.object({ kind: z.literal("prewarm"), image: argumentsSchema.shape.image.unwrap() }),
]);

/** What a job is to do. */
export type Work = z.infer<typeof work>;

export const jobSchema = z.object({
  id: z.uuid(),
  work,
  status: jobStatus,
  progress: progress.optional(),
  error: z.string().optional(),
  correlationId: z.string().optional(),
  cacheHit: z.boolean().optional(),
  imagePath: z.string().optional(),
  /** That its content gets; a job that is done once more is not to write anew what it has written. */
  generation: z.int().optional(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

/** A job as it is kept on disk. */
export type Job = z.infer<typeof jobSchema>;

/** What a worker reports. */
export type Report =
  | { kind: "progress"; progress: Progress }
  | { kind: "found"; cacheHit: boolean; generation?: number }
  | { kind: "completed"; imagePath: string }
  | { kind: "failed"; error: string };

const stages = {
  fetch: "downloading",
  convert: "converting",
  zero: "finalizing",
  stop: "initializing",
} as const;

/** What a script's progress means to a client: bytes, or per cent where the total is not known. */
export function progressOf(event: { kind: string; value: number; total?: number }): Progress {
  const { kind, value, total } = event;
  const stage = Object.hasOwn(stages, kind) ? stages[kind as keyof typeof stages] : "initializing";
  if (kind === "convert")
    return { stage, percent: Math.min(100, value), bytes_processed: 0, bytes_total: 0 };
  const percent = total === undefined || total === 0 ? 0 : Math.min(100, (value / total) * 100);
  return { stage, percent, bytes_processed: Math.round(value), bytes_total: total ?? 0 };
}

/** The job after a report. */
export function applyReport(job: Job, report: Report, now: string): Job {
  const next = { ...job, updatedAt: now };
  switch (report.kind) {
    case "progress":
      return { ...next, progress: report.progress };
    case "found":
      return {
        ...{ ...next, cacheHit: report.cacheHit },
        ...(report.generation !== undefined && { generation: report.generation }),
      };
    case "completed":
      return {
        ...next,
        status: "completed",
        imagePath: report.imagePath,
        progress: {
          ...(job.progress ?? { bytes_processed: 0, bytes_total: 0 }),
          ...{ stage: "finalizing", percent: 100 },
        },
      };
    case "failed":
      return { ...next, status: "failed", error: report.error };
  }
}

/**
 * A job as a server takes it over that starts anew: what was running is started again, since every
 * step goes on from what is there.
 */
export function recoverJob(job: Job): Job {
  if (job.status !== "running") return job;
  const next: Job = { ...job, status: "pending" };
  delete next.progress;
  return next;
}

/** The jobs to start now: the oldest first, no more than may run at once, one for each volume. */
export function startable(jobs: readonly Job[], atOnce: number): Job[] {
  const running = jobs.filter(({ status }) => status === "running");
  const busy = new Set(running.map(targetOf));
  const chosen: Job[] = [];
  for (const job of jobs
    .filter(({ status }) => status === "pending")
    .toSorted((one, other) => (one.createdAt < other.createdAt ? -1 : 1))) {
    if (running.length + chosen.length >= atOnce) break;
    if (busy.has(targetOf(job))) continue;
    busy.add(targetOf(job));
    chosen.push(job);
  }
  return chosen;
}

function targetOf({ id, work: { kind, ...rest } }: Job): string {
  return kind === "provision" && "volumeName" in rest ? `volume ${rest.volumeName}` : id;
}

/** The jobs to forget: those that ended, but for the newest. */
export function expired(jobs: readonly Job[], keep: number): Job[] {
  return jobs
    .filter(({ status }) => status !== "pending" && status !== "running")
    .toSorted((one, other) => (one.updatedAt > other.updatedAt ? -1 : 1))
    .slice(keep);
}

/** The job as its status is told over HTTP. */
export function describeJob(job: Job): StatusResponse {
  return {
    job_id: job.id,
    status: job.status,
    ...(job.progress && { progress: job.progress }),
    ...(job.error !== undefined && { error: job.error }),
    ...(job.correlationId !== undefined && { correlation_id: job.correlationId }),
    ...(job.cacheHit !== undefined && { cache_hit: job.cacheHit }),
    ...(job.imagePath !== undefined && { image_path: job.imagePath }),
    created_at: job.createdAt,
    updated_at: job.updatedAt,
  };
}

/**
 * Reads `https://store/bucket/key` as an object.
 * @throws GroundworkError `bad-request` for anything else, and for a URL with a query, in which a
 *   presigned one carries its secret
 */
export function parseImageUrl(text: string): ImageReference {
  const bad = (seen: string): GroundworkError =>
    new GroundworkError({
      code: "bad-request",
      message: `Cannot use image_url: ${seen}.`,
      next: "Write https://<store>/<bucket>/<object>.",
    });
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw bad("it is not a URL");
  if (url.search + url.hash + url.username + url.password !== "")
    throw bad("it has a query, fragment or user name; the server presigns by itself");
  if (/%(?![0-9A-Fa-f]{2})/.test(url.pathname)) throw bad("its path is not well-formed");
  const [, bucket = "", ...key] = decodeURI(url.pathname).split("/");
  const parsed = argumentsSchema.shape.image
    .unwrap()
    .safeParse({ endpoint: url.origin, bucket, key: key.join("/") });
  if (parsed.success) return parsed.data;
  throw bad(
    parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; "),
  );
}

/**
 * Reads a request as work; without a volume it is a prewarm.
 * @throws GroundworkError `bad-request`
 */
export function parseWork(request: {
  image_url: string;
  volume_name?: string;
  volume_size_gb?: number;
}): Work {
  const image = parseImageUrl(request.image_url);
  const { volume_name: volumeName, volume_size_gb: sizeGiB } = request;
  const parsed = work.safeParse(
    volumeName === undefined
      ? { kind: "prewarm", image }
      : { kind: "provision", image, volumeName, sizeGiB },
  );
  if (parsed.success) return parsed.data;
  throw new GroundworkError({
    code: "bad-request",
    message: `Cannot start the job: ${z.prettifyError(parsed.error)}`,
    next: "Correct the request.",
  });
}
