import type { DataFormat } from "../../graphql/generated";
import { Field } from "../parts/Field";
import { issueAt, type Draft, type Issues } from "./draft";

interface Props {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
  issues: Issues;
}

const FORMATS: readonly DataFormat[] = ["JSONL", "CSV", "PARQUET"];

export function OptionFields({ draft, onChange, issues }: Props) {
  const text = (name: "name" | "tags" | "tolerated" | "batchItems" | "maxConcurrency") => ({
    value: draft[name],
    onChange: (event: { target: { value: string } }) => onChange({ [name]: event.target.value }),
  });
  return (
    <div className="fields">
      <Field label="Name" problem={issueAt(issues, "name")}>
        <input {...text("name")} />
      </Field>
      <Field label="Tags" hint="Separated by spaces." problem={issueAt(issues, "tags")}>
        <input {...text("tags")} />
      </Field>
      <Field
        label="Failed items tolerated"
        problem={issueAt(issues, "failurePolicy", "toleratedFailureCount")}
      >
        <input type="number" min={0} placeholder="0" {...text("tolerated")} />
      </Field>
      <Field label="Set bad items aside" hint="Go on with the rest of their batch.">
        <input
          type="checkbox"
          checked={draft.skipsBadItems}
          onChange={(event) => onChange({ skipsBadItems: event.target.checked })}
        />
      </Field>
      <Field label="Items in a batch" problem={issueAt(issues, "batching")}>
        <input type="number" min={1} placeholder="chosen by size" {...text("batchItems")} />
      </Field>
      <Field label="Map tasks at once" problem={issueAt(issues, "maxConcurrency")}>
        <input type="number" min={1} placeholder="as many as workers" {...text("maxConcurrency")} />
      </Field>
      <Field label="Result format">
        <select
          value={draft.output}
          onChange={(event) => onChange({ output: event.target.value as DataFormat })}
        >
          {FORMATS.map((format) => (
            <option key={format}>{format}</option>
          ))}
        </select>
      </Field>
    </div>
  );
}
