import { GroundworkError } from "../../providers/errors.ts";

/** What a client is told of an error: one of ours in full, of any other only its message. */
export function explainError(error: unknown): string {
  if (error instanceof GroundworkError || error instanceof Error) return error.message;
  return String(error);
}
