import { useEffect, useState } from "react";
import { useClient } from "urql";
import { PlanDocument, type PlanQuery, type SubmitJobInput } from "../../graphql/generated";
import { parseJson } from "../../shared/json";
import { problemOf } from "../parts/outcome";
import { issuesOf, type Issues } from "./issues";

export type JobPlan = Extract<PlanQuery["planJob"], { __typename: "JobPlan" }>;

interface Answer {
  plan: JobPlan | null;
  problem: string | null;
  issues: Issues;
}

export interface Planned extends Answer {
  isAsking: boolean;
}

const NOTHING: Answer = { plan: null, problem: null, issues: [] };
const TYPING_MS = 600;

/** What the service would do with the input, asked for once typing has paused. */
export function usePlan(input: SubmitJobInput | null): Planned {
  const client = useClient();
  const [answered, setAnswered] = useState<Answer & { key: string | null }>({
    ...NOTHING,
    key: null,
  });
  const key = input && JSON.stringify(input);
  useEffect(() => {
    if (!key) return;
    let isOld = false;
    const ask = async () => {
      const variables = { input: parseJson(key) as SubmitJobInput };
      const { data, error } = await client.query(PlanDocument, variables).toPromise();
      if (isOld) return;
      const answer = data?.planJob;
      setAnswered({
        key,
        plan: answer?.__typename === "JobPlan" ? answer : null,
        problem: problemOf(error, answer),
        issues: issuesOf(answer),
      });
    };
    const timer = setTimeout(() => void ask(), TYPING_MS);
    return () => {
      isOld = true;
      clearTimeout(timer);
    };
  }, [client, key]);
  return { ...(key ? answered : NOTHING), isAsking: key !== null && key !== answered.key };
}
