import { useSpec } from "../job/useSpec";
import { Empty } from "../parts/Empty";
import { useTitle } from "../parts/useTitle";
import { draftLike, FIRST_DRAFT } from "./draft";
import { fieldsOf } from "./paramFields";
import { SubmitPage } from "./SubmitPage";

/** The form: as it begins, with a job's result as the source, or like a job that there was. */
export function NewJob({ query }: { query: URLSearchParams }) {
  useTitle("New job");
  const like = query.get("like");
  const source = query.get("source");
  if (like) return <NewJobLike id={like} />;
  const first = source ? { ...FIRST_DRAFT, source: "job" as const, job: source } : FIRST_DRAFT;
  return <SubmitPage first={first} />;
}

function NewJobLike({ id }: { id: string }) {
  const { job, isMissing } = useSpec(id);
  if (isMissing) return <SubmitPage first={FIRST_DRAFT} />;
  if (!job) return <Empty title="Reading…" />;
  return <SubmitPage first={draftLike(job.spec, fieldsOf(job.program?.paramsSchema ?? {}))} />;
}
