import { Disclosure } from "./Disclosure";
import type { Issues } from "./issues";
import { OptionFields } from "./OptionFields";
import { MORE, type OptionValues } from "./options";

interface Props {
  values: OptionValues;
  onChange: (values: OptionValues) => void;
  issues: Issues;
}

export function MoreOptions(props: Props) {
  const options = Object.values(MORE).flat();
  return (
    <Disclosure title="More options" className="card" options={options} issues={props.issues}>
      <div className="groups">
        {Object.entries(MORE).map(([name, options]) => (
          <fieldset key={name}>
            <legend>{name}</legend>
            <OptionFields options={options} {...props} />
          </fieldset>
        ))}
      </div>
    </Disclosure>
  );
}
