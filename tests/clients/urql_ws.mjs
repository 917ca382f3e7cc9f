import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import {
  FOLLOW,
  READ,
  SUBMIT,
  headersOf,
  jobOf,
  pause,
  rowsOf,
  shouldRetry,
} from "./documents.mjs";

export function connect(url, token) {
  const socket = createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket, // in Node before 22
    connectionParams: { token },
    retryAttempts: Infinity,
    retryWait: pause,
    shouldRetry, // by default it gives up while nobody listens
  });
  const client = new Client({
    url,
    fetchOptions: { headers: headersOf(token) },
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe(request, sink) }),
        }),
      }),
    ],
  });

  async function ask(operation) {
    const { data, error } = await operation.toPromise();
    if (error) throw error;
    return data;
  }

  return {
    submit: async (input) => jobOf(await ask(client.mutation(SUBMIT, { input }))),
    follow: (id, show) =>
      new Promise((complete, fail) => {
        client.subscription(FOLLOW, { id }).subscribe(({ data, error, hasNext }) => {
          if (error) fail(error);
          else if (hasNext) show(data.jobStatus);
          else complete(); // the last state comes a second time
        });
      }),
    read: async (id) => rowsOf(await ask(client.query(READ, { id }))),
    close: () => socket.dispose(),
  };
}
