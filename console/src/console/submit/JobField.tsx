import { useId } from "react";
import { useQuery } from "urql";
import { JobsDocument, type JobFilter } from "../../graphql/generated";
import { titleOf } from "../jobs/jobList";
import { Field } from "../parts/Field";
import { formatTime } from "../parts/format";

const FILTER: JobFilter = { states: ["SUCCEEDED", "PARTIALLY_SUCCEEDED"] };
const VARIABLES = { first: 50, after: null, filter: FILTER };

interface Props {
  id: string;
  onChange: (id: string) => void;
  problem: string | null;
}

/** A job whose result is the input: one of the newest, or any other by its id. */
export function JobField({ id, onChange, problem }: Props) {
  const list = useId();
  const [{ data }] = useQuery({ query: JobsDocument, variables: VARIABLES });
  const jobs = data?.jobs.edges.map(({ node }) => node) ?? [];
  const known = jobs.find((job) => job.id === id);
  return (
    <>
      <Field
        label="Job"
        hint={
          known
            ? `${titleOf(known)}, of ${formatTime(known.createdAt)}`
            : "The id of a job whose result is the input."
        }
        problem={problem}
      >
        <input
          className="code"
          list={list}
          placeholder="j-…"
          spellCheck={false}
          value={id}
          onChange={(event) => onChange(event.target.value)}
        />
      </Field>
      <datalist id={list}>
        {jobs.map((job) => (
          <option key={job.id} value={job.id}>
            {titleOf(job)}, {formatTime(job.createdAt)}
          </option>
        ))}
      </datalist>
    </>
  );
}
