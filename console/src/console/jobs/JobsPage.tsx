import { useMemo, useState } from "react";
import type { JobFilter } from "../../graphql/generated";
import { useService } from "../live/useService";
import { Empty } from "../parts/Empty";
import { isLive } from "../parts/states";
import { useTitle } from "../parts/useTitle";
import { Filters } from "./Filters";
import { listed } from "./jobList";
import { JobTable } from "./JobTable";
import { useJobs } from "./useJobs";
import type { Wanted } from "./wanted";

const EVERYTHING: Wanted = { search: "", state: "", program: "", tag: "" };

export function JobsPage() {
  useTitle("Jobs");
  const { maySubmit } = useService();
  const [wanted, setWanted] = useState(EVERYTHING);
  const { state, program, tag } = wanted;
  const filter = useMemo(() => filterOf({ state, program, tag }), [state, program, tag]);
  const { jobs, readMore, isLoading, problem, hasMore } = useJobs(filter);
  const shown = useMemo(() => {
    const found = listed(jobs, wanted.search);
    return wanted.state ? found.filter(({ status }) => status.state === wanted.state) : found;
  }, [jobs, wanted.search, wanted.state]);
  const live = shown.filter(({ status }) => isLive(status.state)).length;
  const isFiltered = JSON.stringify(wanted) !== JSON.stringify(EVERYTHING);

  return (
    <>
      <div className="page-head">
        <h1>Jobs</h1>
        <p className="muted">
          {shown.length}
          {hasMore ? "+" : ""} listed, {live} live
        </p>
        {maySubmit && (
          <a className="button primary" href="#/new">
            New job
          </a>
        )}
      </div>
      <Filters wanted={wanted} onChange={setWanted} />
      {problem && (
        <p className="notice problem" role="alert">
          {problem}
        </p>
      )}
      {shown.length > 0 && <JobTable jobs={shown} onEnd={readMore} />}
      {shown.length === 0 && !isLoading && !problem && (
        <Empty title={isFiltered ? "No job matches" : "No jobs yet"}>
          {isFiltered ? (
            <button className="button" type="button" onClick={() => setWanted(EVERYTHING)}>
              Show all jobs
            </button>
          ) : (
            <a className="button" href="#/new">
              Submit the first one
            </a>
          )}
        </Empty>
      )}
    </>
  );
}

function filterOf({ state, program, tag }: Omit<Wanted, "search">): JobFilter {
  return {
    ...(state && { states: [state] }),
    ...(program && { program }),
    ...(tag && { tags: [tag] }),
  };
}
