import { useEffect, useState } from "react";
import { useClient } from "urql";
import { PlanDocument, type PlanQuery, type SubmitJobInput } from "../../graphql/generated";
import { problemOf } from "../parts/outcome";
import type { Issues } from "./draft";

export type JobPlan = Extract<PlanQuery["planJob"], { __typename: "JobPlan" }>;

export interface Planned {
  plan: JobPlan | null;
  problem: string | null;
  issues: Issues;
  isAsking: boolean;
}

const NOTHING: Planned = { plan: null, problem: null, issues: [], isAsking: false };
const TYPING_MS = 600;

/** What the service would do with the input, asked for once typing has paused. */
export function usePlan(input: SubmitJobInput | null): Planned {
  const client = useClient();
  const [planned, setPlanned] = useState(NOTHING);
  const key = input && JSON.stringify(input);
  useEffect(() => {
    if (!key) return setPlanned(NOTHING);
    let isOld = false;
    setPlanned((before) => ({ ...before, isAsking: true }));
    const timer = setTimeout(async () => {
      const variables = { input: JSON.parse(key) as SubmitJobInput };
      const { data, error } = await client.query(PlanDocument, variables).toPromise();
      if (isOld) return;
      const answer = data?.planJob;
      setPlanned({
        plan: answer?.__typename === "JobPlan" ? answer : null,
        problem: problemOf(error, answer as never),
        issues: answer?.__typename === "ValidationError" ? answer.issues : [],
        isAsking: false,
      });
    }, TYPING_MS);
    return () => {
      isOld = true;
      clearTimeout(timer);
    };
  }, [client, key]);
  return planned;
}
