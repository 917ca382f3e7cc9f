import { Choice } from "../parts/Choice";
import { Field } from "../parts/Field";
import type { Draft } from "./draft";
import { issueAround, issueAt, type Issues } from "./issues";
import { JobField } from "./JobField";
import { LayoutFields } from "./LayoutFields";
import { UploadField } from "./UploadField";

interface Props {
  draft: Draft;
  onChange: (change: Partial<Draft>) => void;
  issues: Issues;
}

const SOURCES = { inline: "Here", files: "Files", upload: "Upload", job: "Job" } as const;

export function SourceFields({ draft, onChange, issues }: Props) {
  const { source } = draft;
  return (
    <>
      <Choice
        label="Source"
        options={SOURCES}
        value={source}
        onChange={(source) => onChange({ source })}
      />
      {source === "inline" && (
        <Field
          label="Items"
          hint="One on each line: text, or JSON objects as rows."
          problem={issueAround(issues, "source", "inline")}
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
      {source === "files" && (
        <Field
          label="Addresses"
          hint="One on each line: s3://…, https://…, or paths below the service's source folders; * and ** are wildcards."
          problem={issueAround(issues, "source", "files", "uris")}
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
      {source === "upload" && (
        <UploadField
          upload={draft.upload}
          onSent={(upload) => onChange({ upload })}
          problem={issueAround(issues, "source", "upload", "id")}
        />
      )}
      {source === "job" && (
        <JobField
          id={draft.job}
          onChange={(job) => onChange({ job })}
          problem={issueAt(issues, "source")}
        />
      )}
      {(source === "files" || source === "upload") && (
        <LayoutFields
          source={source}
          values={draft.layout}
          onChange={(layout) => onChange({ layout })}
          issues={issues}
        />
      )}
    </>
  );
}
