import { useState } from "react";
import { useClient } from "urql";
import {
  CancelDocument,
  DeleteDocument,
  type JobAction,
  type JobQuery,
} from "../../graphql/generated";
import { isViewer } from "../../shared/token";
import { ConfirmDialog } from "../parts/ConfirmDialog";
import { problemOf } from "../parts/outcome";
import { RedriveDialog } from "./RedriveDialog";
import { ShareDialog } from "./ShareDialog";

interface Props {
  job: NonNullable<JobQuery["job"]>;
  /** Something was done to the job. */
  onDone: () => void;
}

type Open = "cancel" | "delete" | "redrive" | "share" | null;

export function Actions({ job, onDone }: Props) {
  const client = useClient();
  const [open, setOpen] = useState<Open>(null);
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
      {!isViewer() && (
        <button className="button" type="button" onClick={() => setOpen("share")}>
          Share
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
      {open === "redrive" && <RedriveDialog job={job} onDone={onDone} onClose={close} />}
      {open === "share" && <ShareDialog id={job.id} onClose={close} />}
    </div>
  );
}
