import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "urql";
import { headers, socket, url } from "../service";

// Subscriptions over the WebSocket, all else over HTTP.
export const client = new Client({
  url,
  fetchOptions: { headers },
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = "", variables }) => ({
        subscribe: (sink) => {
          // A connection that was refused ends in an event, of which urql would show nothing.
          const error = (problem: unknown) =>
            sink.error(problem instanceof CloseEvent ? new Error(problem.reason) : problem);
          return { unsubscribe: socket.subscribe({ query, variables }, { ...sink, error }) };
        },
      }),
    }),
  ],
});
