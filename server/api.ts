import { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { routePath } from "hono/route";
import { GroundworkError } from "../providers/errors.ts";
import { evictFromCache, listCache } from "../providers/image-cache/effects/cache.ts";
import { observeHost } from "../providers/image-volume/effects/hosts.ts";
import { type HostPolicy, rejectBrowser } from "./core/browsers.ts";
import { explainError } from "./core/explain.ts";
import { describeJob, parseWork } from "./core/jobs.ts";
import * as routes from "./core/routes.ts";
import type { ErrorResponse } from "./core/schemas.ts";
import type { JobQueue } from "./effects/job-queue.ts";
import type { Metrics } from "./effects/metrics.ts";
import { carriesToken } from "./effects/token.ts";

export interface ApiOptions {
  queue: JobQueue;
  metrics: Metrics;
  hypervisorUri: string;
  /** Every request below /api must carry one of them; none: no request needs one. */
  tokens: readonly string[];
  hosts: HostPolicy;
}

/** A request is a few hundred bytes. */
const largestBody = 64 * 1024;

const failure = (code: number, error: string, message: string): ErrorResponse => ({
  ...{ error, message, code },
});
const now = (): string => new Date().toISOString();

/** The HTTP API of libvirt-volume-provisioner, with what it lacks beside. */
export function createApi({
  queue,
  metrics,
  hypervisorUri,
  tokens,
  hosts,
}: ApiOptions): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result, context) => {
      if (!result.success)
        return context.json(failure(400, "invalid request", z.prettifyError(result.error)), 400);
    },
  });
  app.onError((error, context) => {
    if (error instanceof GroundworkError && error.code === "bad-request")
      return context.json(failure(400, "invalid request", error.message), 400);
    if (error instanceof GroundworkError && error.code === "too-many-jobs")
      return context.json(failure(429, "too many jobs", error.message), 429);
    if (error instanceof HTTPException && error.status < 500)
      // such as a body that is not JSON
      return context.json(failure(error.status, "invalid request", error.message), error.status);
    const text = explainError(error);
    console.error(error instanceof GroundworkError ? text : error);
    return context.json(failure(500, "failed", text), 500);
  });
  app.notFound((context) => context.json(failure(404, "not found", "There is no such path."), 404));
  app.use(async (context, next) => {
    await next();
    metrics.countRequest(context.req.method, routePath(context, -1), context.res.status);
  });
  app.use(async (context, next) => {
    const { method, raw } = context.req;
    const header = (name: string): string | undefined => raw.headers.get(name) ?? undefined;
    const told = { method, host: header("host"), origin: header("origin") };
    const rejected = rejectBrowser(told, hosts);
    if (rejected === undefined) return next();
    const { status, error, message } = rejected;
    return context.json(failure(status, error, message), status);
  });
  app.use("/api/*", async (context, next) => {
    if (tokens.length === 0 || carriesToken(context.req.raw.headers, tokens)) return next();
    return context.json(failure(401, "authentication required", "Provide the API token."), 401);
  });
  app.use(
    bodyLimit({
      maxSize: largestBody,
      onError: (context) => {
        const message = `A body has at most ${String(largestBody)} bytes.`;
        return context.json(failure(413, "request too large", message), 413);
      },
    }),
  );

  for (const path of ["/api/v1/provision", "/api/v1/jobs"])
    app.openapi(routes.provision(path), (context) => {
      const { correlation_id, ...request } = context.req.valid("json");
      const job = queue.add(parseWork(request), correlation_id);
      return context.json({ job_id: job.id }, 202);
    });
  for (const path of ["/api/v1/status/{job_id}", "/api/v1/jobs/{job_id}"])
    app.openapi(routes.status(path), (context) => {
      const job = queue.get(context.req.valid("param").job_id);
      return job === undefined ? noJob(context) : context.json(describeJob(job), 200);
    });
  for (const path of ["/api/v1/cancel/{job_id}", "/api/v1/jobs/{job_id}"])
    app.openapi(routes.cancel(path), async (context) => {
      const { job_id } = context.req.valid("param");
      const result = await queue.cancel(job_id);
      if (result === "unknown") return noJob(context);
      if (result === "cancelled") return context.json({ status: result, job_id }, 200);
      const message = `The job has ended already: ${queue.get(job_id)?.status ?? ""}.`;
      return context.json(failure(400, "failed to cancel job", message), 400);
    });

  app.openapi(routes.listCache, async (context) => {
    const { folder, freeBytes, files } = await listCache(hypervisorUri);
    const listed = files.map(({ digest, state, bytes, usedAtSeconds, inUse, volumes }) => ({
      ...{ digest, state, bytes, volumes, in_use: inUse },
      used_at: new Date(usedAtSeconds * 1000).toISOString(),
    }));
    return context.json({ folder, free_bytes: freeBytes, files: listed }, 200);
  });
  app.openapi(routes.prewarm, (context) => {
    const { correlation_id, image_url } = context.req.valid("json");
    return context.json({ job_id: queue.add(parseWork({ image_url }), correlation_id).id }, 202);
  });
  app.openapi(routes.evict, async (context) => {
    const { digest } = context.req.valid("param");
    const there = (await listCache(hypervisorUri)).files.filter((file) => file.digest === digest);
    if (there.length === 0)
      return context.json(failure(404, "not found", "The cache has no such image."), 404);
    const { evict } = await evictFromCache(hypervisorUri, { digests: [digest] });
    if (evict.length < there.length)
      return context.json(failure(409, "in use", "A run is using the image."), 409);
    const bytes = evict.reduce((sum, { file }) => sum + file.bytes, 0);
    return context.json({ digest, bytes }, 200);
  });

  for (const path of ["/health", "/healthz", "/livez"])
    app.openapi(routes.health(path), (context) =>
      context.json({ status: "healthy" as const, timestamp: now() }, 200),
    );
  app.openapi(routes.ready, async (context) => {
    const answers = await observeHost(hypervisorUri).then(
      () => true,
      (error: unknown) => {
        console.error(explainError(error));
        return false;
      },
    );
    return answers
      ? context.json({ status: "healthy" as const, timestamp: now() }, 200)
      : context.json({ status: "unavailable" as const, timestamp: now() }, 503);
  });
  app.openapi(routes.metrics, async (context) =>
    context.text(await metrics.render(), 200, { "Content-Type": metrics.contentType }),
  );

  app.openAPIRegistry.registerComponent("securitySchemes", "token", {
    ...{ type: "http", scheme: "bearer" },
  });
  app.doc("/openapi.json", {
    openapi: "3.0.3",
    info: { title: "Groundwork volume provisioner", version: "1.0.0" },
  });
  return app;
}

function noJob(context: Context) {
  return context.json(failure(404, "job not found", "There is no job of this id."), 404);
}
