import { useEffect, useRef, useState } from "react";
import { JobDocument, type TaskFilter } from "../../graphql/generated";
import { titleOf } from "../jobs/jobList";
import { useFollow } from "../live/useFollow";
import { useLiveQuery } from "../live/useLiveQuery";
import { Empty } from "../parts/Empty";
import { formatDuration } from "../parts/format";
import { Plot } from "../parts/Plot";
import { StateBadge } from "../parts/StateBadge";
import { isLive } from "../parts/states";
import { Tags } from "../parts/Tags";
import { Actions } from "./Actions";
import { Announcer } from "./Announcer";
import { Answer } from "./Answer";
import { AnswerSoFar } from "./AnswerSoFar";
import { totalOf } from "./cells";
import { Details } from "./Details";
import { Downloads } from "./Downloads";
import { Failures } from "./Failures";
import { Figures } from "./Figures";
import { Phases } from "./Phases";
import { TaskGrid } from "./TaskGrid";
import { TaskTable } from "./TaskTable";
import { useRates } from "./useRates";

/** What is not pushed, such as counters, is asked for this often while a job runs. */
const ASKED_EVERY_MS = 5_000;

export function JobPage({ id }: { id: string }) {
  const [followed, followAgain] = useFollow(id);
  const live = followed !== null && isLive(followed.state);
  const [{ data, error, fetching }, ask] = useLiveQuery(
    { query: JobDocument, variables: { id } },
    { everyMs: live ? ASKED_EVERY_MS : undefined },
  );
  const rates = useRates(followed);
  const soFar = useRef<readonly unknown[]>([]);
  if (followed?.partial) soFar.current = followed.partial;
  const [filter, setFilter] = useState<TaskFilter>({});
  const [showsTasks, setShowsTasks] = useState(false);
  const job = data?.job;
  const read = job?.status;
  const status = followed && (!read || followed.version >= read.version) ? followed : read;

  useEffect(() => {
    if (followed) ask();
  }, [followed?.state, followed?.phase, followed?.run]);

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
            <Answer key={`${status.run} ${status.state}`} id={id} soFar={soFar.current} />
          )}
          {!isRunning && <Downloads key={status.version} id={id} />}
        </section>
        <section className="card" aria-labelledby="tasks">
          <h2 id="tasks">Tasks</h2>
          <TaskGrid
            label="Map"
            tasks={status.map}
            onPick={(state) => pick({ kind: "MAP", state })}
          />
          {totalOf(status.reduce) > 0 && (
            <TaskGrid
              label="Reduce"
              tasks={status.reduce}
              onPick={(state) => pick({ kind: "REDUCE", state })}
            />
          )}
          {rates.times.length > 1 && (
            <>
              <h3>Items a second</h3>
              <Plot
                label="Items a second"
                x={rates.times}
                y={rates.items}
                formatX={formatDuration}
              />
            </>
          )}
        </section>
      </div>
      {status.items.failed > 0 && <Failures id={id} count={status.items.failed} />}
      <details
        className="card"
        open={showsTasks}
        onToggle={(event) => setShowsTasks(event.currentTarget.open)}
      >
        <summary>All tasks</summary>
        {showsTasks && <TaskTable id={id} filter={filter} onFilter={setFilter} />}
      </details>
      <details className="card">
        <summary>Details and counters</summary>
        <Details job={job} />
      </details>
    </>
  );
}
