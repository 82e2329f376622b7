import { type SyntheticEvent, useId, useState } from "react";
import type { Draft } from "./api.ts";

interface Props {
  readonly initial?: Draft;
  readonly submitLabel: string;
  readonly autoFocus?: boolean;
  /** Resolves to true once the task is kept. */
  readonly onSubmit: (draft: Draft) => Promise<boolean>;
  readonly onCancel?: () => void;
}

const empty: Draft = { title: "", notes: "", dueOn: null };

/** Fields of a task, new or old. */
export function TaskForm({ initial = empty, submitLabel, autoFocus, onSubmit, onCancel }: Props) {
  const [draft, setDraft] = useState(initial);
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState(false);
  const id = useId();

  const submit = async (event: SyntheticEvent): Promise<void> => {
    event.preventDefault();
    const title = draft.title.trim();
    setMissing(title === "");
    if (title === "" || busy) return;
    setBusy(true);
    const kept = await onSubmit({ ...draft, title });
    setBusy(false);
    if (kept) setDraft(empty);
  };

  return (
    <form
      className="task-form"
      onSubmit={(event) => void submit(event)}
      onKeyDown={(event) => {
        if (event.key === "Escape") onCancel?.();
      }}
      noValidate
    >
      <div className="field wide">
        <label htmlFor={`${id}-title`}>Title</label>
        <input
          id={`${id}-title`}
          value={draft.title}
          maxLength={200}
          autoFocus={autoFocus}
          aria-required
          aria-invalid={missing}
          aria-describedby={missing ? `${id}-missing` : undefined}
          onChange={(event) => {
            setDraft({ ...draft, title: event.target.value });
          }}
        />
        {missing && (
          <p id={`${id}-missing`} className="field-error" role="alert">
            Give the task a title.
          </p>
        )}
      </div>
      <div className="field wide">
        <label htmlFor={`${id}-notes`}>Notes</label>
        <textarea
          id={`${id}-notes`}
          rows={2}
          value={draft.notes}
          maxLength={2000}
          onChange={(event) => {
            setDraft({ ...draft, notes: event.target.value });
          }}
        />
      </div>
      <div className="field">
        <label htmlFor={`${id}-due`}>Due</label>
        <input
          id={`${id}-due`}
          type="date"
          value={draft.dueOn ?? ""}
          onChange={(event) => {
            setDraft({ ...draft, dueOn: event.target.value === "" ? null : event.target.value });
          }}
        />
      </div>
      <div className="actions">
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" className="primary" disabled={busy}>
          {busy ? "Saving…" : submitLabel}
        </button>
      </div>
    </form>
  );
}
