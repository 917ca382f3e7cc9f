// What is asked, for any client that takes typed documents.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { parse } from "graphql";

export type JobState =
  | "QUEUED"
  | "RUNNING"
  | "CANCELLING"
  | "SUCCEEDED"
  | "PARTIALLY_SUCCEEDED"
  | "FAILED"
  | "CANCELLED"
  | "TIMED_OUT";

export interface JobStatus {
  id: string; // the job's: so a client's cache keeps one entity for each job
  version: number;
  state: JobState;
  phase: string;
  ratio: number | null;
  etaSeconds: number | null;
  error: { code: string; message: string } | null;
}

export type Row = Record<string, unknown>;

export interface SubmitJobInput {
  program?: string;
  sql?: string;
  params?: Record<string, unknown>;
  source: { inline: unknown[] } | { files: { uris: string[] } };
  name?: string;
  idempotencyKey?: string;
}

export interface Submitted {
  submitJob: { job?: { id: string }; code?: string; message?: string };
}

export interface Rows {
  job: { id: string; result: { rowCount: number; rows: { edges: { node: Row }[] } } | null } | null;
}

const document = <Data, Variables>(text: string) =>
  parse(text) as TypedDocumentNode<Data, Variables>;

export const SUBMIT = document<Submitted, { input: SubmitJobInput }>(`
  mutation Submit($input: SubmitJobInput!) {
    submitJob(input: $input) {
      ... on SubmitJobSuccess { job { id } }
      ... on UserError { code message }
    }
  }
`);

export const FOLLOW = document<{ jobStatus: JobStatus }, { id: string }>(`
  subscription Follow($id: ID!) {
    jobStatus(id: $id) {
      __typename id version state phase ratio etaSeconds
      error { code message }
    }
  }
`);

export const ROWS = document<Rows, { id: string }>(`
  query Rows($id: ID!) {
    job(id: $id) {
      __typename id
      result { rowCount rows(first: 100) { edges { node } } }
    }
  }
`);

// What submitJob answers is one of several outcomes; only one of them has a job.
export function jobOf(data: Submitted | undefined): string {
  const { job, code, message } = data?.submitJob ?? {};
  if (!job) throw new Error(`${code}: ${message}`);
  return job.id;
}

export const rowsOf = (data: Rows | undefined): Row[] | undefined =>
  data?.job?.result?.rows.edges.map(({ node }) => node);

export const hasResult = (status: JobStatus | undefined): boolean =>
  status?.state === "SUCCEEDED" || status?.state === "PARTIALLY_SUCCEEDED";

// Repeating a request whose answer was lost makes no second job.
export const repeatable = (input: SubmitJobInput): SubmitJobInput => ({
  idempotencyKey: Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join("-"),
  ...input,
});
