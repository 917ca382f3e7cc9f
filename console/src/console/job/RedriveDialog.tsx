import { useState, type FormEvent } from "react";
import { useMutation } from "urql";
import { RedriveDocument } from "../../graphql/generated";
import { parseJson } from "../../shared/json";
import { Dialog } from "../parts/Dialog";
import { problemOf } from "../parts/outcome";
import { fieldsOf, paramsOf, valuesOf, type Values } from "../submit/paramFields";
import { ParamsForm } from "../submit/ParamsForm";
import { SqlParams } from "../submit/SqlParams";
import type { SpecOfJob } from "./useSpec";

interface Props {
  job: SpecOfJob;
  onDone: () => void;
  onClose: () => void;
}

export function RedriveDialog({ job, onDone, onClose }: Props) {
  const before = (job.spec as { params?: Record<string, unknown> }).params ?? {};
  const fields = job.program ? fieldsOf(job.program.paramsSchema) : null;
  const [values, setValues] = useState<Values>(() => valuesOf(fields ?? [], before));
  const [text, setText] = useState(() => JSON.stringify(before, null, 2));
  const [, redrive] = useMutation(RedriveDocument);
  const [problem, setProblem] = useState<string | null>(null);

  const run = async (event: FormEvent) => {
    event.preventDefault();
    let params: unknown;
    try {
      params = fields ? paramsOf(fields, values) : parseJson(text || "{}");
    } catch (error) {
      setProblem((error as Error).message);
      return;
    }
    const isChanged = JSON.stringify(params) !== JSON.stringify(before);
    const input = { id: job.id, ...(isChanged && { params }) };
    const { data, error } = await redrive({ input });
    const problem = problemOf(error, data?.redriveJob);
    setProblem(problem);
    if (problem) return;
    onDone();
    onClose();
  };

  return (
    <Dialog title="Redrive this job" onClose={onClose}>
      <form onSubmit={run}>
        <p>Only what did not succeed runs again, with these parameters.</p>
        {fields ? (
          <ParamsForm fields={fields} values={values} onChange={setValues} issues={[]} />
        ) : (
          <SqlParams text={text} onChange={setText} />
        )}
        {problem && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <div className="actions">
          <button className="button" type="button" onClick={onClose}>
            Back
          </button>
          <button className="button primary" type="submit">
            Run again
          </button>
        </div>
      </form>
    </Dialog>
  );
}
