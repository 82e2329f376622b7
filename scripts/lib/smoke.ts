import { setTimeout as sleep } from "node:timers/promises";
import { GroundworkError } from "../../providers/errors.ts";

/**
 * Asks a URL until it answers well; gives a line that says so.
 * @throws GroundworkError `smoke-test-failed` with the last answer
 */
export async function requestUntil(url: string, seconds: number): Promise<string> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const seen = await request(url);
    if (seen.ok) return `${url} ${seen.said}`;
    if (performance.now() > end)
      throw new GroundworkError({
        code: "smoke-test-failed",
        message: `${url} ${seen.said}, for ${String(seconds)} s.`,
        next: "See `docker compose ps` and `docker compose logs` in the project's folder.",
      });
    await sleep(1000);
  }
}

async function request(url: string): Promise<{ ok: boolean; said: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    await response.body?.cancel();
    return { ok: response.ok, said: `answers ${String(response.status)}` };
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string } };
    return { ok: false, said: `does not answer (${cause?.code ?? message})` };
  }
}
