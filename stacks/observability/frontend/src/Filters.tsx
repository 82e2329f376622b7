import type { Filter, Status } from "./api.ts";

const statuses: readonly [Status, string][] = [
  ["all", "All"],
  ["open", "Open"],
  ["done", "Done"],
];

interface Props {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

/** Which tasks are shown. */
export function Filters({ filter, onChange }: Props) {
  return (
    <search className="filters">
      <fieldset>
        <legend className="unseen">Show</legend>
        {statuses.map(([status, label]) => (
          <label key={status}>
            <input
              type="radio"
              name="status"
              checked={filter.status === status}
              onChange={() => {
                onChange({ ...filter, status });
              }}
            />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
      <input
        type="search"
        aria-label="Search titles and notes"
        placeholder="Search"
        value={filter.text}
        maxLength={200}
        onChange={(event) => {
          onChange({ ...filter, text: event.target.value });
        }}
      />
    </search>
  );
}
