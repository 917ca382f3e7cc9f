import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { FOLLOW, READ, SUBMIT, jobOf, pause, rowsOf, shouldRetry } from "./documents.mjs";

export function connect(url, token) {
  const client = createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket, // in Node before 22
    connectionParams: { token },
    retryAttempts: Infinity,
    retryWait: pause,
    shouldRetry, // by default it gives up while nobody listens
  });

  async function ask(query, variables) {
    for await (const { data, errors } of client.iterate({ query, variables })) {
      if (errors) throw new Error(errors[0].message);
      return data;
    }
  }

  return {
    submit: async (input) => jobOf(await ask(SUBMIT, { input })),
    async follow(id, show) {
      for await (const { data } of client.iterate({ query: FOLLOW, variables: { id } })) {
        show(data.jobStatus);
      }
    },
    read: async (id) => rowsOf(await ask(READ, { id })),
    close: () => client.dispose(),
  };
}
