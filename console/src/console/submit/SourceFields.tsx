import type { DataFormat } from "../../graphql/generated";
import { Choice } from "../parts/Choice";
import { Field } from "../parts/Field";
import { issueAt, type Draft, type Issues } from "./draft";
import { UploadField } from "./UploadField";

interface Props {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
  issues: Issues;
}

const FORMATS: readonly DataFormat[] = ["AUTO", "TEXT", "CSV", "JSON", "JSONL", "PARQUET"];
const SOURCES = { inline: "Here", files: "Files", upload: "Upload", job: "Job" } as const;

export function SourceFields({ draft, onChange, issues }: Props) {
  const problem = issueAt(issues, "source");
  return (
    <>
      <Choice
        label="Source"
        options={SOURCES}
        value={draft.source}
        onChange={(source) => onChange({ source })}
      />
      {draft.source === "inline" && (
        <Field
          label="Items"
          hint="One on each line: text, or JSON objects as rows."
          problem={problem}
        >
          <textarea
            className="code"
            rows={6}
            spellCheck={false}
            value={draft.inline}
            onChange={(event) => onChange({ inline: event.target.value })}
          />
        </Field>
      )}
      {draft.source === "files" && (
        <Field
          label="Addresses"
          hint="One on each line: s3://…, https://…, or paths below the service's source folders; * and ** are wildcards."
          problem={problem}
        >
          <textarea
            className="code"
            rows={3}
            spellCheck={false}
            value={draft.uris}
            onChange={(event) => onChange({ uris: event.target.value })}
          />
        </Field>
      )}
      {draft.source === "upload" && (
        <UploadField upload={draft.upload} onSent={(upload) => onChange({ upload })} />
      )}
      {draft.source === "job" && (
        <Field label="Job" hint="The id of a job whose result is the input." problem={problem}>
          <input
            className="code"
            value={draft.job}
            onChange={(event) => onChange({ job: event.target.value })}
          />
        </Field>
      )}
      {(draft.source === "files" || draft.source === "upload") && (
        <Field label="Format">
          <select
            value={draft.format}
            onChange={(event) => onChange({ format: event.target.value as DataFormat })}
          >
            {FORMATS.map((format) => (
              <option key={format}>{format}</option>
            ))}
          </select>
        </Field>
      )}
    </>
  );
}
