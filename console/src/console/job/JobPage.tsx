import { useEffect, useRef, useState } from "react";
import { JobDocument, type TaskFilter } from "../../graphql/generated";
import { titleOf } from "../jobs/jobList";
import { useFollow } from "../live/useFollow";
import { useLiveQuery } from "../live/useLiveQuery";
import { Empty } from "../parts/Empty";
import { StateBadge } from "../parts/StateBadge";
import { isLive, STATE_NAMES } from "../parts/states";
import { Tags } from "../parts/Tags";
import { useTitle } from "../parts/useTitle";
import { Actions } from "./Actions";
import { Announcer } from "./Announcer";
import { Answer } from "./Answer";
import { AnswerSoFar } from "./AnswerSoFar";
import { Details } from "./Details";
import { Failures } from "./Failures";
import { Figures } from "./Figures";
import { Phases } from "./Phases";
import { ResultCard } from "./ResultCard";
import { Tasks } from "./Tasks";
import { TaskTable } from "./TaskTable";
import { useRates } from "./useRates";
import { useResult } from "./useResult";

/** What is not pushed, such as counters, is asked for this often while a job runs; all, while none is. */
const ASKED_EVERY_MS = 5_000;

export function JobPage({ id }: { id: string }) {
  const [followed, followAgain] = useFollow(id);
  const [live, setLive] = useState(true);
  const [{ data, error, fetching }, ask] = useLiveQuery(
    { query: JobDocument, variables: { id } },
    { everyMs: live ? ASKED_EVERY_MS : undefined },
  );
  const rates = useRates(followed);
  const [soFar, setSoFar] = useState<readonly unknown[]>([]);
  if (followed?.partial && followed.partial !== soFar) setSoFar(followed.partial);
  const [filter, setFilter] = useState<TaskFilter>({});
  const [showsTasks, setShowsTasks] = useState(false);
  const [showsDetails, setShowsDetails] = useState(false);
  const list = useRef<HTMLDetailsElement>(null);
  const job = data?.job;
  const read = job?.status;
  const status = followed && (!read || followed.version >= read.version) ? followed : read;

  useTitle(job?.name ?? id, status && STATE_NAMES[status.state]);

  const hasEnded = status && !isLive(status.state);
  if (status && live !== !hasEnded) setLive(!hasEnded);
  const found = useResult(id, hasEnded ? `${status.run} ${status.state}` : null);

  const stage = followed && `${followed.run} ${followed.state} ${followed.phase}`;
  useEffect(() => {
    if (stage) ask();
  }, [stage, ask]);

  if (!job || !status) {
    if (fetching || error) return <Empty title={error ? "The job cannot be read" : "Reading…"} />;
    return (
      <Empty title="There is no such job, or it is not yours to see">
        <a className="button" href="#/">
          All jobs
        </a>
      </Empty>
    );
  }

  const isRunning = isLive(status.state);
  const pick = (filter: TaskFilter) => {
    setFilter(filter);
    setShowsTasks(true);
    list.current?.scrollIntoView({ block: "start" });
    list.current?.querySelector("summary")?.focus({ preventScroll: true });
  };
  return (
    <>
      <div className="page-head">
        <h1>{titleOf(job)}</h1>
        <StateBadge state={status.state} />
        <Tags tags={job.tags} />
        <Actions
          job={job}
          onDone={() => {
            ask();
            followAgain();
          }}
        />
        <p className="muted subtitle">
          {job.name && `${job.program?.name ?? "SQL"} · `}
          <code>{id}</code>
          {status.run > 1 && ` · run ${status.run}`}
          {status.message && ` · ${status.message}`}
        </p>
      </div>
      <Announcer status={status} />
      {status.error && (
        <p className="notice problem" role="alert">
          <strong>{status.error.code}</strong> {status.error.message}
        </p>
      )}
      <section className="card" aria-label="Progress">
        <Figures
          status={status}
          startedAt={job.startedAt}
          finishedAt={job.finishedAt}
          rate={rates.items.at(-1) ?? null}
        />
        <Phases status={status} />
      </section>
      <div className="columns">
        <section className="card" aria-labelledby="answer">
          <h2 id="answer">Answer</h2>
          {isRunning ? (
            <AnswerSoFar
              partial={followed?.partial ?? null}
              coverage={followed?.coverage ?? null}
            />
          ) : (
            <Answer {...found} soFar={soFar} />
          )}
        </section>
        <Tasks id={id} status={status} rates={rates} onPick={pick} />
      </div>
      {hasEnded && !found.isReading && <ResultCard {...found} id={id} version={status.version} />}
      {status.items.failed > 0 && <Failures id={id} count={status.items.failed} />}
      <details
        className="card"
        ref={list}
        open={showsTasks}
        onToggle={(event) => setShowsTasks(event.currentTarget.open)}
      >
        <summary>All tasks</summary>
        {showsTasks && <TaskTable id={id} filter={filter} onFilter={setFilter} />}
      </details>
      <details className="card" onToggle={(event) => setShowsDetails(event.currentTarget.open)}>
        <summary>Details and counters</summary>
        {showsDetails && <Details job={job} />}
      </details>
    </>
  );
}
