import type { ProgramsQuery } from "../../graphql/generated";
import { Choice } from "../parts/Choice";
import { Field } from "../parts/Field";
import type { Draft } from "./draft";
import { issueAt, type Issues } from "./issues";
import type { ParamField } from "./paramFields";
import { ParamsForm } from "./ParamsForm";
import { SqlParams } from "./SqlParams";

const KINDS = { program: "Program", sql: "SQL" } as const;

interface Props {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
  issues: Issues;
  programs: ProgramsQuery["programs"];
  /** Of the chosen program. */
  fields: ParamField[];
  takesSql: boolean;
}

export function WorkFields({ draft, onChange, issues, programs, fields, takesSql }: Props) {
  const program = programs.find(({ name }) => name === draft.program);
  return (
    <>
      {takesSql && (
        <Choice
          label="Kind"
          options={KINDS}
          value={draft.kind}
          onChange={(kind) => onChange({ kind })}
        />
      )}
      {draft.kind === "program" ? (
        <>
          <Field label="Program" hint={program?.description} problem={issueAt(issues, "program")}>
            <select
              value={draft.program}
              onChange={(event) => onChange({ program: event.target.value, values: {} })}
            >
              {programs.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </Field>
          <ParamsForm
            fields={fields}
            values={draft.values}
            onChange={(values) => onChange({ values })}
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
              onChange={(event) => onChange({ sql: event.target.value })}
            />
          </Field>
          <SqlParams
            text={draft.sqlParams}
            onChange={(sqlParams) => onChange({ sqlParams })}
            problem={issueAt(issues, "params")}
          />
        </>
      )}
    </>
  );
}
