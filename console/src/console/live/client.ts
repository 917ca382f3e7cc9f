/** The GraphQL client: HTTP for queries and mutations, the WebSocket for subscriptions. */

import { Client, subscriptionExchange, type SubscriptionForwarder } from "@urql/core";
import { HTTP_URL } from "../../shared/addresses";
import { post } from "../../shared/post";
import { authorization, readToken } from "../../shared/token";
import { changeConnection } from "./connection";
import { socket } from "./socket";

type Params = Parameters<SubscriptionForwarder>[0];
type Sink = Parameters<ReturnType<SubscriptionForwarder>["subscribe"]>[0];

const UNAUTHENTICATED = 401;

export const client = new Client({
  url: HTTP_URL,
  preferGetMethod: false,
  requestPolicy: "network-only",
  exchanges: [
    subscriptionExchange({
      enableAllOperations: true, // urql's exchange for HTTP reads numbers as doubles
      forwardSubscription: (params, { kind }) => ({
        subscribe: (sink) => ({
          unsubscribe: (kind === "subscription" ? follow : ask)(params, sink),
        }),
      }),
    }),
  ],
});

const follow = ({ query, variables }: Params, sink: Sink): (() => void) =>
  socket.subscribe({ query: query ?? "", variables }, sink as never);

function ask(params: Params, sink: Sink): () => void {
  const asking = new AbortController();
  const answer = async () => {
    const headers = authorization(readToken());
    const { status, result } = await post(params, { headers, signal: asking.signal });
    if (status === UNAUTHENTICATED) {
      changeConnection({ refusal: result.errors?.[0]?.message ?? "Not allowed." });
    }
    sink.next(result);
    sink.complete();
  };
  answer().catch((error: unknown) => sink.error(error));
  return () => asking.abort();
}
