import { Field } from "../parts/Field";
import { issueAt, type Issues } from "./issues";
import { keyOf, OFF, ON, type Option, type OptionValues } from "./options";

interface Props {
  options: readonly Option[];
  values: OptionValues;
  onChange: (values: OptionValues) => void;
  issues: Issues;
  /** Where in the input the options are. */
  within?: string[];
}

export function OptionFields({ options, values, onChange, issues, within = [] }: Props) {
  return (
    <div className="fields">
      {options.map((option) => {
        const key = keyOf(option);
        return (
          <Field
            key={key}
            label={option.label}
            isSwitch={option.kind === "switch"}
            hint={option.hint}
            problem={issueAt(issues, ...within, ...option.path)}
          >
            {controlOf(option, values[key] ?? "", (text) => onChange({ ...values, [key]: text }))}
          </Field>
        );
      })}
    </div>
  );
}

function controlOf(option: Option, text: string, onChange: (text: string) => void) {
  if (option.kind === "switch") {
    return (
      <input
        type="checkbox"
        checked={text === "" ? option.isOn : text === ON}
        onChange={(event) => onChange(event.target.checked ? ON : OFF)}
      />
    );
  }
  if (option.kind === "choice") {
    return (
      <select value={text} onChange={(event) => onChange(event.target.value)}>
        {Object.entries(option.choices).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
    );
  }
  const number = option.kind === "number" && {
    type: "number",
    step: option.isWhole ? 1 : "any",
    min: option.least,
    max: option.most,
  };
  return (
    <input
      {...number}
      placeholder={option.placeholder}
      value={text}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
