import { z } from "zod";

/** What cloud-init says of itself. */
export interface CloudInitStatus {
  state: "waiting" | "running" | "done" | "error" | "disabled";
  /** Failures. From cloud-init 23.4 on, `done` may come with `warnings` and without failures. */
  errors: string[];
  /** Problems it worked around ("recoverable errors"), each with its level. */
  warnings: string[];
  /** The boot stage it is in, such as `modules-final`. */
  stage?: string;
}

const messages = z.array(z.string()).catch([]);

/** `cloud-init status --format json` of 22.4 to 25; every field but `status` is younger than some. */
const schema = z.object({
  status: z.string(),
  extended_status: z.string().optional().catch(undefined),
  detail: z.string().optional().catch(undefined),
  errors: messages.default([]),
  recoverable_errors: z.record(z.string(), messages).default({}).catch({}),
  stage: z.string().nullish().catch(null),
});

/**
 * Reads what `cloud-init status --format json` printed, whatever stands around it.
 *
 * @returns `undefined` for anything else.
 */
export function parseCloudInitStatus(output: string): CloudInitStatus | undefined {
  const start = output.indexOf("{");
  if (start === -1) return undefined;
  const parsed = schema.safeParse(parseJson(output.slice(start, output.lastIndexOf("}") + 1)));
  if (!parsed.success) return undefined;
  const { status, extended_status, detail, errors, recoverable_errors, stage } = parsed.data;
  const state = parseState(status, extended_status);
  return {
    state,
    errors: errors.length === 0 && state === "error" && detail ? [detail] : errors,
    warnings: Object.entries(recoverable_errors).flatMap(([level, texts]) =>
      texts.map((text) => `${level}: ${text}`),
    ),
    ...(typeof stage === "string" && stage !== "" && { stage }),
  };
}

function parseState(status: string, extended = ""): CloudInitStatus["state"] {
  // 23.4 and later may write "degraded done" where the extended status stands.
  const words = `${status} ${extended}`;
  if (/\berror\b/.test(words)) return "error";
  if (/\bdisabled\b/.test(words)) return "disabled";
  if (/\brunning\b/.test(words)) return "running";
  if (/\bdone\b/.test(words)) return "done";
  return "waiting"; // "not run", "not started"
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
