import { useId } from "react";

interface Props<Key extends string> {
  label: string;
  options: Record<Key, string>;
  value: Key;
  onChange: (value: Key) => void;
}

/** One of a few, all of them in view. */
export function Choice<Key extends string>({ label, options, value, onChange }: Props<Key>) {
  const name = useId();
  return (
    <fieldset className="choice">
      <legend className="hidden">{label}</legend>
      {(Object.entries(options) as [Key, string][]).map(([key, text]) => (
        <label key={key}>
          <input type="radio" name={name} checked={key === value} onChange={() => onChange(key)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
