/** GraphQL over HTTP: one operation, one answer. */

import type { ExecutionResult } from "graphql";
import { HTTP_URL } from "./addresses";
import { parseJson } from "./json";

export interface Answer {
  /** Of HTTP. */
  status: number;
  result: ExecutionResult;
}

/** Rejects where the service cannot be reached, or answers what is no JSON. */
export async function post(
  params: unknown,
  { headers, signal = null }: { headers: Record<string, string>; signal?: AbortSignal | null },
): Promise<Answer> {
  const response = await fetch(HTTP_URL, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json, application/json",
      ...headers,
    },
    body: JSON.stringify(params),
    signal,
  });
  return { status: response.status, result: parseJson(await response.text()) as ExecutionResult };
}
