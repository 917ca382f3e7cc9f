import { Field } from "../parts/Field";
import { issueAt, type Issues } from "./issues";
import { textOf, type ParamField, type Values } from "./paramFields";

interface Props {
  fields: ParamField[];
  values: Values;
  onChange: (values: Values) => void;
  issues: Issues;
}

export function ParamsForm({ fields, values, onChange, issues }: Props) {
  if (fields.length === 0) return <p className="muted">This program takes no parameters.</p>;
  return (
    <div className="fields">
      {fields.map((field) => (
        <Field
          key={field.name}
          label={field.isRequired ? `${field.name} *` : field.name}
          isSwitch={field.kind === "boolean"}
          hint={field.description}
          problem={issueAt(issues, "params", field.name)}
        >
          {controlOf(field, values[field.name] ?? field.initial === true, (value) =>
            onChange({ ...values, [field.name]: value }),
          )}
        </Field>
      ))}
    </div>
  );
}

function controlOf(
  { kind, choices, isRequired, initial, least, most }: ParamField,
  value: string | boolean,
  onChange: (value: string | boolean) => void,
) {
  if (kind === "boolean") {
    return (
      <input
        type="checkbox"
        checked={value === true}
        onChange={(event) => onChange(event.target.checked)}
      />
    );
  }
  const text = value === false ? "" : String(value);
  if (kind === "choice") {
    return (
      <select value={text} onChange={(event) => onChange(event.target.value)}>
        {!isRequired && <option value="">Default</option>}
        {choices.map((choice) => (
          <option key={choice}>{choice}</option>
        ))}
      </select>
    );
  }
  const isNumber = kind === "number" || kind === "integer";
  return (
    <input
      type={isNumber ? "number" : "text"}
      step={kind === "number" ? "any" : undefined}
      min={least}
      max={most}
      required={isRequired}
      placeholder={initial == null ? (kind === "json" ? "JSON" : undefined) : textOf(initial)}
      value={text}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
