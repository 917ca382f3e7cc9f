/** The GraphQL client: HTTP for queries and mutations, the WebSocket for subscriptions. */

import { Client, fetchExchange, mapExchange, subscriptionExchange } from "@urql/core";
import { HTTP_URL } from "../../shared/addresses";
import { authorization, readToken } from "../../shared/token";
import { changeConnection } from "./connection";
import { socket } from "./socket";

const UNAUTHENTICATED = 401;

export const client = new Client({
  url: HTTP_URL,
  preferGetMethod: false,
  requestPolicy: "network-only",
  fetchOptions: () => ({ headers: authorization(readToken()) }),
  exchanges: [
    mapExchange({
      onError: (error) => {
        if ((error.response as Response | undefined)?.status === UNAUTHENTICATED) {
          changeConnection({ refusal: error.graphQLErrors[0]?.message ?? "Not allowed." });
        }
      },
    }),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe({ query: query ?? "", variables }, sink as never),
        }),
      }),
    }),
  ],
});
