import { traced } from "./telemetry.ts";

export interface Task {
  readonly id: number;
  readonly title: string;
  readonly notes: string;
  /** A day, such as `2026-12-01`. */
  readonly dueOn: string | null;
  /** ISO 8601 in UTC. */
  readonly createdAt: string;
  readonly completedAt: string | null;
}

export type Draft = Pick<Task, "title" | "notes" | "dueOn">;

export type Status = "all" | "open" | "done";

export interface Filter {
  readonly status: Status;
  readonly text: string;
}

/** A request that did not succeed, in words for the person at the screen. */
export class ApiError extends Error {
  /** By which the request is found in Grafana; the server did not answer where there is none. */
  readonly traceId: string | undefined;

  constructor(message: string, traceId?: string) {
    super(message);
    this.name = "ApiError";
    this.traceId = traceId;
  }
}

const collection = "/api/tasks";
const timeoutMs = 10_000;

export async function findTasks(filter: Filter, signal: AbortSignal): Promise<Task[]> {
  const query = new URLSearchParams({ status: filter.status, q: filter.text });
  const { tasks } = (await call("GET", collection, { query: `?${query.toString()}`, signal })) as {
    tasks: Task[];
  };
  return tasks;
}

export async function createTask(draft: Draft): Promise<void> {
  await call("POST", collection, { body: draft });
}

export async function changeTask(
  id: number,
  change: Partial<Draft> & { completed?: boolean },
): Promise<void> {
  await call("PATCH", `${collection}/{id}`, { id, body: change });
}

export async function deleteTask(id: number): Promise<void> {
  await call("DELETE", `${collection}/{id}`, { id });
}

interface CallOptions {
  readonly id?: number;
  readonly query?: string;
  readonly body?: object;
  readonly signal?: AbortSignal;
}

async function call(method: string, route: string, options: CallOptions): Promise<unknown> {
  const { id, query = "", body, signal } = options;
  const limits = [AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])];
  const answer = await traced(method, route, async (headers) => {
    const response = await fetch(route.replace("{id}", String(id)) + query, {
      method,
      headers: { ...headers, ...(body !== undefined && { "Content-Type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.any(limits),
    });
    return { status: response.status, ok: response.ok, text: await response.text() };
  }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new ApiError("The server did not answer. Check the connection, then try again.");
  });
  if (!answer.ok) throw explain(answer);
  return answer.text === "" ? undefined : JSON.parse(answer.text);
}

function explain({ status, text }: { status: number; text: string }): ApiError {
  try {
    const { detail, traceId } = JSON.parse(text) as { detail?: string; traceId?: string };
    return new ApiError(detail ?? `The server answered ${String(status)}.`, traceId);
  } catch {
    return new ApiError(`The server answered ${String(status)}. Try again in a moment.`);
  }
}
