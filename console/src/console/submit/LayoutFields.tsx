import { Disclosure } from "./Disclosure";
import type { Issues } from "./issues";
import { OptionFields } from "./OptionFields";
import { kindOptions, layoutOptions, type OptionValues } from "./options";

interface Props {
  source: "files" | "upload";
  values: OptionValues;
  onChange: (values: OptionValues) => void;
  issues: Issues;
}

/** What the files are, and how they are read. */
export function LayoutFields({ source, values, onChange, issues }: Props) {
  const format = values.format ?? "AUTO";
  const given = { values, onChange, issues, within: ["source", source] };
  const options = layoutOptions(format);
  const fields = options.length > 0 && <OptionFields options={options} {...given} />;
  return (
    <>
      <OptionFields options={kindOptions(source)} {...given} />
      {format === "AUTO" ? (
        <Disclosure title="How CSV and JSON are read" options={options} {...given}>
          {fields}
        </Disclosure>
      ) : (
        fields
      )}
    </>
  );
}
