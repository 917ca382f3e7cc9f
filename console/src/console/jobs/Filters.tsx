import { useQuery } from "urql";
import { ProgramsDocument, type JobState } from "../../graphql/generated";
import { JOB_STATES, STATE_NAMES } from "../parts/states";
import type { Wanted } from "./wanted";

interface Props {
  wanted: Wanted;
  onChange: (wanted: Wanted) => void;
}

export function Filters({ wanted, onChange }: Props) {
  const [{ data }] = useQuery({ query: ProgramsDocument });
  return (
    <div className="filters" role="search">
      <input
        type="search"
        aria-label="Search the listed jobs"
        placeholder="Search"
        value={wanted.search}
        onChange={(event) => onChange({ ...wanted, search: event.target.value })}
      />
      <select
        aria-label="State"
        value={wanted.state}
        onChange={(event) => onChange({ ...wanted, state: event.target.value as JobState | "" })}
      >
        <option value="">Any state</option>
        {JOB_STATES.map((state) => (
          <option key={state} value={state}>
            {STATE_NAMES[state]}
          </option>
        ))}
      </select>
      <select
        aria-label="Program"
        value={wanted.program}
        onChange={(event) => onChange({ ...wanted, program: event.target.value })}
      >
        <option value="">Any program</option>
        {data?.programs.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <input
        aria-label="Tag"
        placeholder="Tag"
        value={wanted.tag}
        onChange={(event) => onChange({ ...wanted, tag: event.target.value.trim() })}
      />
    </div>
  );
}
