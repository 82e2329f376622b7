import { GroundworkError } from "../../errors.ts";

/** An error of this provider: which project, where, and what to do. */
export function composeError(
  code: string,
  message: string,
  next: string,
  cause?: unknown,
): GroundworkError {
  return new GroundworkError({ code, message, next, ...(cause !== undefined && { cause }) });
}
