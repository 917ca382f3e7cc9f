/** The tabs that GraphiQL begins with; each runs at once, also against a service without jobs. */

export const NEWEST = "@newest";
export const FAILED = "@failed";

/** Tells the job that the examples let fail from those of others. */
export const FAIL_TAG = "graphiql-fail";

export interface Example {
  query: string;
  variables?: string;
}

const json = (value: unknown): string => JSON.stringify(value, null, 2);

export const SUBMIT = `# Count words that are sent along, and wait
# for the answer. It is one of several
# outcomes: branch on __typename.
mutation Submit {
  submitJob(
    input: {
      program: "wordcount"
      params: { top: 3 }
      source: { inline: [
        "the quick brown fox"
        "jumps over the lazy dog"
        "the end"
      ] }
      waitUpToMs: 5000
    }
  ) {
    __typename
    ... on SubmitJobSuccess {
      created
      job { id status { state result } }
    }
    ... on UserError { code message path }
    ... on ValidationError {
      issues { path message }
    }
  }
}
`;

export const FAIL = `# A job that fails, because $ready is false.
# The next tab repairs it.
mutation Fail {
  submitJob(
    input: {
      sql: """
        SELECT CASE WHEN $ready THEN name
          ELSE error('not ready') END AS name
        FROM input
      """
      params: { ready: false }
      tags: ["${FAIL_TAG}"]
      source: { inline: [
        { name: "Ada" }
        { name: "Grace" }
      ] }
      failurePolicy: { maxAttempts: 1 }
      waitUpToMs: 10000
    }
  ) {
    __typename
    ... on SubmitJobSuccess {
      job {
        id
        allowedActions
        status { state error { code message } }
      }
    }
    ... on UserError { code message path }
  }
}
`;

const FOLLOW = `# Follow a job over a WebSocket: its present
# state first, then every newer one, until it
# has ended. "${NEWEST}" is the newest job:
# this page puts its id there.
subscription Follow($id: ID!) {
  jobStatus(id: $id) {
    id
    version
    state
    phase
    ratio
    etaSeconds
    items { total succeeded failed }
    map { total running succeeded }
    resultRows
  }
}
`;

const SQL = `# One query over the table "input";
# Fanfold splits it into map, reduce and finish.
mutation SubmitSQL {
  submitJob(
    input: {
      sql: """
        SELECT city, count(*) AS sales,
          sum(amount) AS total
        FROM input
        GROUP BY city ORDER BY total DESC
      """
      source: {
        inline: [
          { city: "Turin", amount: 12.5 }
          { city: "Oslo", amount: 30 }
          { city: "Turin", amount: 7.5 }
        ]
      }
      waitUpToMs: 10000
    }
  ) {
    __typename
    ... on SubmitJobSuccess {
      job {
        id
        status { state result error { message } }
      }
    }
    ... on UserError { code message path }
    ... on ValidationError {
      issues { path message }
    }
  }
}
`;

const PAGE = `# A page of the result, and the files that
# hold all of it. "endCursor" is the next
# page's "after".
query Page($id: ID!, $after: String) {
  job(id: $id) {
    id
    status { state }
    result {
      rowCount
      columns { name type }
      rows(first: 2, after: $after) {
        edges { node }
        pageInfo { hasNextPage endCursor }
      }
      files { name byteSize url }
    }
  }
}
`;

const PLAN = `# What a job would do, without storing or
# running it.
query Plan {
  planJob(
    input: {
      sql: """
        SELECT length(line) AS length,
          count(*) AS lines
        FROM input
        GROUP BY ALL HAVING lines > 1
      """
      source: { inline: ["one", "two", "three"] }
    }
  ) {
    __typename
    ... on JobPlan {
      items
      mapTasks
      reduceTasks
      mapStep
      reduceStep
      finishStep
      warnings
    }
    ... on UserError { code message path }
    ... on ValidationError {
      issues { path message }
    }
  }
}
`;

const REDRIVE = `# Run again only what did not succeed, with
# other params. "${FAILED}" is the newest job
# that failed in the tab before.
mutation Redrive($id: ID!) {
  redriveJob(
    input: { id: $id, params: { ready: true } }
  ) {
    __typename
    ... on JobActionSuccess {
      job { id run status { state } }
    }
    ... on UserError { code message }
  }
}
`;

export const EXAMPLES: Example[] = [
  { query: SUBMIT },
  { query: FOLLOW, variables: json({ id: NEWEST }) },
  { query: SQL },
  { query: PAGE, variables: json({ id: NEWEST, after: null }) },
  { query: PLAN },
  { query: FAIL },
  { query: REDRIVE, variables: json({ id: FAILED }) },
];
