import { useState } from "react";
import { useMutation } from "urql";
import { UpdateDocument, type UpdateJobInput } from "../../graphql/generated";
import { Dialog } from "../parts/Dialog";
import { problemOf } from "../parts/outcome";
import { issuesOf, type Issues } from "../submit/issues";
import { OptionFields } from "../submit/OptionFields";
import { inputOfOptions, UPDATABLE, valuesOfOptions } from "../submit/options";
import { changesOf, type Updatable } from "./changes";

interface Props {
  id: string;
  present: Updatable;
  onDone: () => void;
  onClose: () => void;
}

/** Whether fields tell all that is wrong. */
const areBesideFields = (issues: Issues): boolean =>
  issues.length > 0 &&
  issues.every(({ path }) => UPDATABLE.some((option) => option.path[0] === path[1]));

/** What may change while a job runs. */
export function UpdateDialog({ id, present, onDone, onClose }: Props) {
  const [values, setValues] = useState(() => valuesOfOptions(UPDATABLE, present));
  const [{ fetching }, update] = useMutation(UpdateDocument);
  const [refused, setRefused] = useState<{ problem: string; issues: Issues } | null>(null);

  const run = async () => {
    const changes = changesOf(present, inputOfOptions(UPDATABLE, values));
    const input: UpdateJobInput = { id, ...changes };
    const { data, error } = await update({ input });
    const problem = problemOf(error, data?.updateJob);
    setRefused(problem ? { problem, issues: issuesOf(data?.updateJob) } : null);
    if (problem) return;
    onDone();
    onClose();
  };

  return (
    <Dialog title="Change this job" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <p>It goes on running; what is left empty stays as it is.</p>
        <OptionFields
          options={UPDATABLE}
          values={values}
          onChange={setValues}
          issues={refused?.issues ?? []}
        />
        {refused && !areBesideFields(refused.issues) && (
          <p className="problem" role="alert">
            {refused.problem}
          </p>
        )}
        <div className="actions">
          <button className="button" type="button" onClick={onClose}>
            Back
          </button>
          <button className="button primary" type="submit" disabled={fetching}>
            Change it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
