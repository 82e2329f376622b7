import { useDeferredValue, useState } from "react";
import { Filters } from "./Filters.tsx";
import { TaskForm } from "./TaskForm.tsx";
import { TaskItem } from "./TaskItem.tsx";
import { type ApiError, type Filter, changeTask, createTask, deleteTask } from "./api.ts";
import { type Loaded, asApiError, useTasks } from "./use-tasks.ts";

/** The whole page. */
export function App() {
  const [filter, setFilter] = useState<Filter>({ status: "all", text: "" });
  const { loaded, reload } = useTasks(useDeferredValue(filter));
  const [failure, setFailure] = useState<ApiError>();
  const [said, setSaid] = useState("");

  /** Does something to the tasks, tells of it, and shows what they are now; true when it went well. */
  const act = async (done: string, action: () => Promise<void>): Promise<boolean> => {
    try {
      await action();
      setFailure(undefined);
      setSaid(done);
      reload();
      return true;
    } catch (error) {
      setFailure(asApiError(error));
      return false;
    }
  };

  return (
    <>
      <header>
        <h1>Task Manager</h1>
        <p>{summary(loaded)}</p>
      </header>
      <main>
        <section aria-labelledby="new-task">
          <h2 id="new-task">New task</h2>
          <TaskForm
            submitLabel="Add task"
            onSubmit={(draft) => act(`Added: ${draft.title}`, () => createTask(draft))}
          />
        </section>
        <section aria-labelledby="tasks">
          <h2 id="tasks">Tasks</h2>
          <Filters filter={filter} onChange={setFilter} />
          {failure && (
            <Failure
              error={failure}
              label="Dismiss"
              onAction={() => {
                setFailure(undefined);
              }}
            />
          )}
          {loaded.kind === "loading" && <p className="state">Loading tasks…</p>}
          {loaded.kind === "failed" && (
            <Failure error={loaded.error} label="Try again" onAction={reload} />
          )}
          {loaded.kind === "ready" && loaded.tasks.length === 0 && (
            <p className="state">
              {filter.status === "all" && filter.text === ""
                ? "Nothing to do yet. Add your first task above."
                : "No task matches. Change the filter to see others."}
            </p>
          )}
          {loaded.kind === "ready" && loaded.tasks.length > 0 && (
            <ul className="tasks">
              {loaded.tasks.map((task) => {
                const done = task.completedAt !== null;
                return (
                  <TaskItem
                    key={task.id}
                    task={task}
                    onToggle={() =>
                      void act(`${done ? "Reopened" : "Completed"}: ${task.title}`, () =>
                        changeTask(task.id, { completed: !done }),
                      )
                    }
                    onDelete={() => void act(`Deleted: ${task.title}`, () => deleteTask(task.id))}
                    onEdit={({ title, notes, dueOn }) =>
                      act(`Saved: ${title}`, () => changeTask(task.id, { title, notes, dueOn }))
                    }
                  />
                );
              })}
            </ul>
          )}
        </section>
      </main>
      <p role="status" className="unseen">
        {said}
      </p>
    </>
  );
}

function summary(loaded: Loaded): string {
  if (loaded.kind !== "ready") return "";
  const open = loaded.tasks.filter(({ completedAt }) => completedAt === null).length;
  return `${String(open)} open, ${String(loaded.tasks.length - open)} done`;
}

interface FailureProps {
  readonly error: ApiError;
  readonly label: string;
  readonly onAction: () => void;
}

function Failure({ error, label, onAction }: FailureProps) {
  return (
    <div className="failure" role="alert">
      <p>{error.message}</p>
      {error.traceId !== undefined && (
        <p>
          Trace <code>{error.traceId}</code>
        </p>
      )}
      <button type="button" onClick={onAction}>
        {label}
      </button>
    </div>
  );
}
