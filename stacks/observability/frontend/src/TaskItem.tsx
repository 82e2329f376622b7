import { useRef, useState } from "react";
import { TaskForm } from "./TaskForm.tsx";
import type { Draft, Task } from "./api.ts";

interface Props {
  readonly task: Task;
  readonly onToggle: () => void;
  readonly onDelete: () => void;
  readonly onEdit: (draft: Draft) => Promise<boolean>;
}

/** One task: read, completed, edited in place, or deleted after a second thought. */
export function TaskItem({ task, onToggle, onDelete, onEdit }: Props) {
  const [mode, setMode] = useState<"read" | "edit" | "delete">("read");
  const editButton = useRef<HTMLButtonElement>(null);
  const done = task.completedAt !== null;
  const back = (): void => {
    setMode("read");
    // Where the keyboard was before; the button is there again after the next paint.
    requestAnimationFrame(() => editButton.current?.focus());
  };

  if (mode === "edit")
    return (
      <li className="task editing">
        <TaskForm
          initial={task}
          submitLabel="Save"
          autoFocus
          onCancel={back}
          onSubmit={async (draft) => {
            const kept = await onEdit(draft);
            if (kept) back();
            return kept;
          }}
        />
      </li>
    );

  return (
    <li className={done ? "task done" : "task"}>
      <label className="complete">
        <input type="checkbox" checked={done} onChange={onToggle} />
        <span className="title">{task.title}</span>
      </label>
      <div className="about">
        {task.notes !== "" && <p className="notes">{task.notes}</p>}
        {task.dueOn !== null && <p className={dueClass(task)}>Due {day(task.dueOn)}</p>}
      </div>
      <div className="actions">
        {mode === "delete" ? (
          <>
            <button
              type="button"
              className="danger"
              aria-label={`Delete for good: ${task.title}`}
              autoFocus
              onClick={onDelete}
            >
              Delete for good
            </button>
            <button type="button" onClick={back}>
              Keep
            </button>
          </>
        ) : (
          <>
            <button
              type="button"
              ref={editButton}
              aria-label={`Edit: ${task.title}`}
              onClick={() => {
                setMode("edit");
              }}
            >
              Edit
            </button>
            <button
              type="button"
              aria-label={`Delete: ${task.title}`}
              onClick={() => {
                setMode("delete");
              }}
            >
              Delete
            </button>
          </>
        )}
      </div>
    </li>
  );
}

function dueClass({ dueOn, completedAt }: Task): string {
  const today = new Date().toLocaleDateString("sv"); // as YYYY-MM-DD, in the local zone
  return completedAt === null && dueOn !== null && dueOn < today ? "due late" : "due";
}

function day(iso: string): string {
  return new Date(`${iso}T00:00`).toLocaleDateString(undefined, { dateStyle: "medium" });
}
