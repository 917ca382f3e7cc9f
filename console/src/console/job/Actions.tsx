import { useState, type ReactNode } from "react";
import { useClient } from "urql";
import {
  CancelDocument,
  DeleteDocument,
  type JobAction,
  type JobQuery,
} from "../../graphql/generated";
import { isViewer } from "../../shared/token";
import { useService } from "../live/useService";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { problemOf } from "../parts/outcome";
import { newPath } from "../route";
import { updatableOf } from "./changes";
import { RedriveDialog } from "./RedriveDialog";
import { ShareDialog } from "./ShareDialog";
import { UpdateDialog } from "./UpdateDialog";
import { useSpec, type SpecOfJob } from "./useSpec";

interface Props {
  job: NonNullable<JobQuery["job"]>;
  /** Something was done to the job. */
  onDone: () => void;
}

type Open = "cancel" | "change" | "delete" | "redrive" | "share" | null;

export function Actions({ job, onDone }: Props) {
  const client = useClient();
  const [open, setOpen] = useState<Open>(null);
  const { maySubmit } = useService();
  const may = (action: JobAction) => job.allowedActions.includes(action);
  const close = () => setOpen(null);
  const variables = { id: job.id };

  const cancel = async () => {
    const { data, error } = await client.mutation(CancelDocument, variables).toPromise();
    const problem = problemOf(error, data?.cancelJob);
    if (!problem) onDone();
    return problem;
  };
  const erase = async () => {
    const { data, error } = await client.mutation(DeleteDocument, variables).toPromise();
    const problem = problemOf(error, data?.deleteJob);
    if (!problem) location.hash = "#/";
    return problem;
  };

  return (
    <div className="actions">
      {maySubmit && (
        <a className="button" href={newPath({ like: job.id })}>
          New like this
        </a>
      )}
      {!isViewer() && (
        <button className="button" type="button" onClick={() => setOpen("share")}>
          Share
        </button>
      )}
      {may("UPDATE") && (
        <button className="button" type="button" onClick={() => setOpen("change")}>
          Change
        </button>
      )}
      {may("REDRIVE") && (
        <button className="button" type="button" onClick={() => setOpen("redrive")}>
          Redrive
        </button>
      )}
      {may("CANCEL") && (
        <button className="button danger" type="button" onClick={() => setOpen("cancel")}>
          Cancel
        </button>
      )}
      {may("DELETE") && (
        <button className="button danger" type="button" onClick={() => setOpen("delete")}>
          Delete
        </button>
      )}
      {open === "cancel" && (
        <ConfirmDialog title="Cancel this job?" verb="Cancel the job" act={cancel} onClose={close}>
          What it has done so far is lost.
        </ConfirmDialog>
      )}
      {open === "delete" && (
        <ConfirmDialog title="Delete this job?" verb="Delete it" act={erase} onClose={close}>
          The job and its results are erased for good.
        </ConfirmDialog>
      )}
      {open === "redrive" && (
        <WithSpec id={job.id}>
          {(found) => <RedriveDialog job={found} onDone={onDone} onClose={close} />}
        </WithSpec>
      )}
      {open === "change" && (
        <WithSpec id={job.id}>
          {({ id, spec }) => (
            <UpdateDialog
              id={id}
              present={updatableOf(spec, job.tags)}
              onDone={onDone}
              onClose={close}
            />
          )}
        </WithSpec>
      )}
      {open === "share" && <ShareDialog id={job.id} onClose={close} />}
    </div>
  );
}

interface WithSpecProps {
  id: string;
  children: (job: SpecOfJob) => ReactNode;
}

/** What shows once the spec is read. */
function WithSpec({ id, children }: WithSpecProps) {
  const { job } = useSpec(id);
  return job && children(job);
}
