import { Field } from "../parts/Field";

interface Props {
  text: string;
  onChange: (text: string) => void;
  problem?: string | null;
}

export function SqlParams({ text, onChange, problem }: Props) {
  return (
    <Field label="Parameters" hint="JSON; bound to $name in the query" problem={problem}>
      <textarea
        className="code"
        rows={3}
        spellCheck={false}
        value={text}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  );
}
