import { useState } from "react";
import type { FormEvent } from "react";
import { JobView } from "./JobView";
import type { SubmitJobInput } from "./generated";
import type { Job } from "./job";

interface Hooks {
  useJob: (id: string | undefined) => Job;
  useSubmitJob: () => (input: SubmitJobInput) => Promise<string>;
}

// The job that the address names, such as ?job=j-…, so that a page can be kept.
const named = new URLSearchParams(location.search).get("job") ?? undefined;

/** The same for either client: it only knows their hooks. */
export function Panel({ title, useJob, useSubmitJob }: Hooks & { title: string }) {
  const [id, setId] = useState(named);
  const [refusal, setRefusal] = useState<string>();
  const job = useJob(id);
  const submit = useSubmitJob();

  async function count(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const lines = String(new FormData(event.currentTarget).get("lines")).split("\n");
    setRefusal(undefined);
    try {
      setId(await submit({ program: "wordcount", source: { inline: lines } }));
    } catch (problem) {
      setRefusal(problem instanceof Error ? problem.message : String(problem));
    }
  }

  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <form onSubmit={count}>
        <label>
          Lines
          <br />
          <textarea name="lines" rows={3} cols={32} defaultValue="to be or not to be" />
        </label>
        <br />
        <button>Count the words</button>
      </form>
      {refusal && <p role="alert">{refusal}</p>}
      <JobView job={job} />
    </section>
  );
}
