import { useMemo, useState, type FormEvent } from "react";
import { useMutation, useQuery } from "urql";
import { ProgramsDocument, SubmitDocument, type SubmitJobInput } from "../../graphql/generated";
import { useService } from "../live/useService";
import { Choice } from "../parts/Choice";
import { Field } from "../parts/Field";
import { problemOf } from "../parts/outcome";
import { jobPath } from "../route";
import { FIRST_DRAFT, inputOf, issueAt, type Draft, type Issues } from "./draft";
import { OptionFields } from "./OptionFields";
import { fieldsOf } from "./paramFields";
import { ParamsForm } from "./ParamsForm";
import { PlanPanel } from "./PlanPanel";
import { SourceFields } from "./SourceFields";
import { SqlParams } from "./SqlParams";
import { usePlan } from "./usePlan";

const KINDS = { program: "Program", sql: "SQL" } as const;

export function SubmitPage() {
  const { takesSql } = useService();
  const [{ data }] = useQuery({ query: ProgramsDocument });
  const [draft, setDraft] = useState(FIRST_DRAFT);
  const [{ fetching }, submit] = useMutation(SubmitDocument);
  const [refused, setRefused] = useState<{ problem: string; issues: Issues } | null>(null);
  const change = (change: Partial<Draft>) => {
    setRefused(null);
    setDraft((draft) => ({ ...draft, ...change }));
  };

  const programs = data?.programs ?? [];
  const program = programs.find(({ name }) => name === draft.program);
  const fields = useMemo(() => fieldsOf(program?.paramsSchema ?? {}), [program]);
  const [input, unfit] = useMemo(
    () => inputOrProblem(draft, program?.paramsSchema),
    [draft, program],
  );
  const planned = usePlan(program || draft.kind === "sql" ? input : null);
  const issues = refused?.issues ?? planned.issues;

  const run = async (event: FormEvent) => {
    event.preventDefault();
    if (!input) return;
    const { data, error } = await submit({ input });
    const answer = data?.submitJob;
    if (answer?.__typename === "SubmitJobSuccess") location.hash = jobPath(answer.job.id);
    const issues = answer?.__typename === "ValidationError" ? answer.issues : [];
    const problem = problemOf(error, answer as never);
    if (problem) setRefused({ problem, issues });
  };

  return (
    <>
      <div className="page-head">
        <h1>New job</h1>
      </div>
      <form className="columns submit" onSubmit={run}>
        <div>
          <section className="card" aria-labelledby="work">
            <h2 id="work">Work</h2>
            {takesSql && (
              <Choice
                label="Kind"
                options={KINDS}
                value={draft.kind}
                onChange={(kind) => change({ kind })}
              />
            )}
            {draft.kind === "program" ? (
              <>
                <Field
                  label="Program"
                  hint={program?.description}
                  problem={issueAt(issues, "program")}
                >
                  <select
                    value={draft.program}
                    onChange={(event) => change({ program: event.target.value, values: {} })}
                  >
                    {programs.map(({ name }) => (
                      <option key={name}>{name}</option>
                    ))}
                  </select>
                </Field>
                <ParamsForm
                  fields={fields}
                  values={draft.values}
                  onChange={(values) => change({ values })}
                  issues={issues}
                />
              </>
            ) : (
              <>
                <Field
                  label="Query"
                  hint='One SELECT over the table "input"; lines of text are its column "line".'
                  problem={issueAt(issues, "sql")}
                >
                  <textarea
                    className="code"
                    rows={8}
                    spellCheck={false}
                    value={draft.sql}
                    onChange={(event) => change({ sql: event.target.value })}
                  />
                </Field>
                <SqlParams
                  text={draft.sqlParams}
                  onChange={(sqlParams) => change({ sqlParams })}
                  problem={issueAt(issues, "params")}
                />
              </>
            )}
          </section>
          <section className="card" aria-labelledby="source">
            <h2 id="source">Source</h2>
            <SourceFields draft={draft} onChange={change} issues={issues} />
          </section>
          <details className="card">
            <summary>Options</summary>
            <OptionFields draft={draft} onChange={change} issues={issues} />
          </details>
        </div>
        <div className="side">
          <PlanPanel {...planned} problem={unfit ?? refused?.problem ?? planned.problem} />
          <button className="button primary large" type="submit" disabled={fetching || !input}>
            Submit
          </button>
        </div>
      </form>
    </>
  );
}

function inputOrProblem(draft: Draft, schema: unknown): [SubmitJobInput, null] | [null, string] {
  try {
    return [inputOf(draft, schema ?? {}), null];
  } catch (error) {
    return [null, (error as Error).message];
  }
}
