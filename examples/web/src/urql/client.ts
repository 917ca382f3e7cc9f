import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "urql";
import { headers, socket, url } from "../service";

// A WebSocket that is closed for good ends in an event, of which urql would show nothing.
const errorOf = (problem: unknown): unknown =>
  problem instanceof CloseEvent
    ? new Error(`Socket closed with event ${problem.code} ${problem.reason}`)
    : problem;

// Subscriptions over the WebSocket, all else over HTTP.
export const client = new Client({
  url,
  fetchOptions: () => ({ headers: headers() }),
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe(
            { query, variables },
            { ...sink, error: (problem) => sink.error(errorOf(problem)) },
          ),
        }),
      }),
    }),
  ],
});
