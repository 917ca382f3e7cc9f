import { createClient } from "graphql-sse";
import { FOLLOW, READ, SUBMIT, asking, jobOf, pause, rowsOf } from "./documents.mjs";

export function connect(url, token) {
  const client = createClient({
    url,
    ...asking(token),
    retryAttempts: Infinity,
    retry: pause,
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
