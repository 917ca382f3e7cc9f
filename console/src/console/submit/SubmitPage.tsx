import { useMemo, useState, type FormEvent } from "react";
import { useMutation } from "urql";
import { ProgramsDocument, SubmitDocument, type SubmitJobInput } from "../../graphql/generated";
import { useLiveQuery } from "../live/useLiveQuery";
import { useService } from "../live/useService";
import { problemOf } from "../parts/outcome";
import { jobPath } from "../route";
import { inputOf, type Draft } from "./draft";
import { issuesOf, type Issues } from "./issues";
import { MoreOptions } from "./MoreOptions";
import { OptionFields } from "./OptionFields";
import { NAMING } from "./options";
import { fieldsOf } from "./paramFields";
import { PlanPanel } from "./PlanPanel";
import { SourceFields } from "./SourceFields";
import { usePlan } from "./usePlan";
import { WorkFields } from "./WorkFields";

export function SubmitPage({ first }: { first: Draft }) {
  const { takesSql } = useService();
  const [{ data }] = useLiveQuery({ query: ProgramsDocument });
  const [draft, setDraft] = useState(first);
  const [{ fetching }, submit] = useMutation(SubmitDocument);
  const [refused, setRefused] = useState<{ problem: string; issues: Issues } | null>(null);
  // Sent twice because an answer was lost, it is still one job.
  const [key, setKey] = useState(newKey);
  const change = (change: Partial<Draft>) => {
    setKey(newKey());
    setRefused(null);
    setDraft((draft) => ({ ...draft, ...change }));
  };

  const programs = data?.programs ?? [];
  const program = programs.find(({ name }) => name === draft.program);
  const fields = useMemo(() => fieldsOf(program?.paramsSchema ?? {}), [program]);
  const [input, missing] = useMemo(
    () => inputOrProblem(draft, program?.paramsSchema),
    [draft, program],
  );
  const planned = usePlan(program || draft.kind === "sql" ? input : null);
  const { problem, issues } = refused ?? planned;

  const run = async () => {
    if (!input) return;
    const { data, error } = await submit({ input: { ...input, idempotencyKey: key } });
    const answer = data?.submitJob;
    if (answer?.__typename === "SubmitJobSuccess") location.hash = jobPath(answer.job.id);
    const problem = problemOf(error, answer);
    if (problem) setRefused({ problem, issues: issuesOf(answer) });
  };
  const given = { draft, onChange: change, issues };
  const options = {
    values: draft.options,
    onChange: (options: Draft["options"]) => change({ options }),
    issues,
  };

  return (
    <>
      <div className="page-head">
        <h1>New job</h1>
      </div>
      <form
        className="columns submit"
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          void run();
        }}
      >
        <div>
          <section className="card" aria-labelledby="work">
            <h2 id="work">Work</h2>
            <WorkFields {...given} programs={programs} fields={fields} takesSql={takesSql} />
          </section>
          <section className="card" aria-labelledby="source">
            <h2 id="source">Source</h2>
            <SourceFields {...given} />
          </section>
          <section className="card" aria-label="Name and tags">
            <OptionFields options={NAMING} {...options} />
          </section>
          <MoreOptions {...options} />
        </div>
        <div className="side">
          <PlanPanel {...planned} problem={problem} issues={issues} missing={missing} />
          <button className="button primary large" type="submit" disabled={fetching || !input}>
            {fetching ? "Submitting…" : "Submit"}
          </button>
        </div>
      </form>
    </>
  );
}

/** Not `randomUUID`, which pages without TLS do not have. */
const newKey = (): string => crypto.getRandomValues(new Uint32Array(4)).join("-");

function inputOrProblem(draft: Draft, schema: unknown): [SubmitJobInput, null] | [null, string] {
  try {
    return [inputOf(draft, schema ?? {}), null];
  } catch (error) {
    return [null, (error as Error).message];
  }
}
