/** How GraphiQL reaches the service: fetch, and graphql-ws for subscriptions. */

import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { Kind, OperationTypeNode, parse, type DefinitionNode } from "graphql";
import { createClient } from "graphql-ws";
import { SOCKET_URL } from "../shared/addresses";
import { keepDigits } from "../shared/json";
import { post } from "../shared/post";
import { authorization, readToken } from "../shared/token";
import { FAIL, FAIL_TAG, FAILED, NEWEST, SUBMIT } from "./examples";

type Headers = Record<string, string>;
type Variables = Record<string, unknown>;

interface Found {
  data?: {
    jobs?: { edges: { node: { id: string } }[] };
    submitJob?: { job?: { id: string } };
  };
}

type Find = (query: string) => Promise<Found>;

const JOBS: Record<string, { query: string; otherwise: string }> = {
  [NEWEST]: { query: "{ jobs(first: 1) { edges { node { id } } } }", otherwise: SUBMIT },
  [FAILED]: {
    query: `{
      jobs(first: 1, filter: { states: [FAILED], tags: ["${FAIL_TAG}"] }) { edges { node { id } } }
    }`,
    otherwise: FAIL,
  },
};

export const fetcher: Fetcher = async (asked, options) => {
  const headers = { ...authorization(readToken()), ...options?.headers };
  const ask = async (params: unknown) => (await post(params, { headers })).result;
  const params = await withJob(asked, async (query) => (await ask({ query })) as Found);
  const operation = operationOf(params);
  // A tab that was just changed may still go by the operation of the one before.
  params.operationName = operation?.name?.value ?? null;
  if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return ask(params);
  const token = bearer(headers);
  const client = createClient({
    url: SOCKET_URL,
    connectionParams: token ? { token } : {},
    jsonMessageReviver: keepDigits,
  });
  return client.iterate(params) as never;
};

/** Puts the id of a job where an example names one; submits that job first if there is none. */
async function withJob(params: FetcherParams, ask: Find): Promise<FetcherParams> {
  const variables = (params.variables ?? {}) as Variables;
  const wanted = JOBS[String(variables.id)];
  if (!wanted) return { ...params };
  const found = (await ask(wanted.query)).data?.jobs?.edges[0]?.node.id;
  const id = found ?? (await ask(wanted.otherwise)).data?.submitJob?.job?.id;
  return { ...params, variables: { ...variables, id } };
}

function operationOf({ query, operationName }: FetcherParams) {
  const operations = definitionsOf(query).filter((node) => node.kind === Kind.OPERATION_DEFINITION);
  return operations.find(({ name }) => name?.value === operationName) ?? operations[0];
}

/** None for what is no GraphQL: the service tells what is wrong with it. */
function definitionsOf(query: string): readonly DefinitionNode[] {
  try {
    return parse(query).definitions;
  } catch {
    return [];
  }
}

function bearer(headers: Headers): string | undefined {
  const name = Object.keys(headers).find((key) => key.toLowerCase() === "authorization");
  return name && headers[name]?.replace(/^Bearer\s+/i, "");
}
