import { createRoute, z } from "@hono/zod-openapi";
import {
  cacheResponse,
  cancelResponse,
  errorResponse,
  evictedResponse,
  healthResponse,
  jobAccepted,
  prewarmRequest,
  provisionRequest,
  statusResponse,
} from "./schemas.ts";

/** The routes as the OpenAPI document tells them; api.ts says what they do. */

const json = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  content: { "application/json": { schema } },
  description,
});
const body = <Schema extends z.ZodType>(schema: Schema) => ({
  body: { content: { "application/json": { schema } }, required: true },
});
const bad = json(errorResponse, "The request is not valid");
const missing = json(errorResponse, "There is none");
const conflict = json(errorResponse, "Not in its present state");
const failed = json(errorResponse, "The host could not be asked");
const jobId = { params: z.object({ job_id: z.uuid() }) };
const security = [{ token: [] }, {}];

// Each of the job's routes has two paths: libvirt-volume-provisioner's own, and the one in its
// documentation of the architecture.

export const provision = (path: string) =>
  createRoute({
    ...{ method: "post", path, security, request: body(provisionRequest) },
    summary: "Writes an image onto a volume, which is made, grown or reused",
    responses: { 202: json(jobAccepted, "The job is queued"), 400: bad },
  });

export const status = (path: string) =>
  createRoute({
    ...{ method: "get", path, security, request: jobId },
    summary: "How a job stands",
    responses: { 200: json(statusResponse, "The job"), 400: bad, 404: missing },
  });

export const cancel = (path: string) =>
  createRoute({
    ...{ method: "delete", path, security, request: jobId },
    summary: "Ends a job; once this answers, nothing of it runs any more",
    responses: { 200: json(cancelResponse, "It has ended"), 400: bad, 404: missing },
  });

export const listCache = createRoute({
  ...{ method: "get", path: "/api/v1/cache", security },
  summary: "What the host's image cache holds",
  responses: { 200: json(cacheResponse, "The cache"), 500: failed },
});

export const prewarm = createRoute({
  ...{ method: "post", path: "/api/v1/cache", security, request: body(prewarmRequest) },
  summary: "Fetches an image into the cache",
  responses: { 202: json(jobAccepted, "The job is queued"), 400: bad },
});

export const evict = createRoute({
  ...{ method: "delete", path: "/api/v1/cache/{digest}", security },
  request: {
    params: z.object({ digest: z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits") }),
  },
  summary: "Removes an image from the cache, unless a run is using it",
  responses: {
    ...{ 200: json(evictedResponse, "It is removed"), 400: bad, 404: missing, 409: conflict },
    500: failed,
  },
});

export const health = (path: string) =>
  createRoute({
    ...{ method: "get", path },
    summary: "Whether the server runs",
    responses: { 200: json(healthResponse, "It does") },
  });

export const ready = createRoute({
  ...{ method: "get", path: "/readyz" },
  summary: "Whether the server runs and its host answers",
  responses: {
    200: json(healthResponse, "They do"),
    503: json(healthResponse, "The host does not answer"),
  },
});

export const metrics = createRoute({
  ...{ method: "get", path: "/metrics" },
  summary: "Metrics in the text format of Prometheus",
  responses: {
    200: { content: { "text/plain": { schema: z.string() } }, description: "The metrics" },
  },
});
