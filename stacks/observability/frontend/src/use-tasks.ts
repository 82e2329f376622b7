import { useCallback, useEffect, useState } from "react";
import { ApiError, type Filter, type Task, findTasks } from "./api.ts";

export type Loaded =
  | { readonly kind: "loading" }
  | { readonly kind: "failed"; readonly error: ApiError }
  | { readonly kind: "ready"; readonly tasks: readonly Task[] };

/** The tasks that a filter finds; what is shown stays until the next answer is there. */
export function useTasks(filter: Filter): { loaded: Loaded; reload: () => void } {
  const [loaded, setLoaded] = useState<Loaded>({ kind: "loading" });
  const [version, setVersion] = useState(0);
  const { status, text } = filter;

  useEffect(() => {
    const leaving = new AbortController();
    findTasks({ status, text }, leaving.signal).then(
      (tasks) => {
        setLoaded({ kind: "ready", tasks });
      },
      (error: unknown) => {
        if (!leaving.signal.aborted) setLoaded({ kind: "failed", error: asApiError(error) });
      },
    );
    return () => {
      leaving.abort();
    };
  }, [status, text, version]);

  const reload = useCallback(() => {
    setVersion((before) => before + 1);
  }, []);
  return { loaded, reload };
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError("The page failed. Load it again.");
}
