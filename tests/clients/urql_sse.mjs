import { Client, fetchExchange } from "@urql/core";
import { FOLLOW, READ, SUBMIT, hasEnded, headersOf, jobOf, pause, rowsOf } from "./documents.mjs";

export function connect(url, token) {
  const client = new Client({
    url,
    fetchOptions: { headers: headersOf(token) },
    fetchSubscriptions: true,
    exchanges: [fetchExchange],
  });

  async function ask(operation) {
    const { data, error } = await operation.toPromise();
    if (error) throw error;
    return data;
  }

  // Until the stream ends, with the job's end or with the connection's.
  const stream = (id, show) =>
    new Promise((end, fail) => {
      client.subscription(FOLLOW, { id }).subscribe(({ data, error, hasNext }) => {
        if (error?.response?.status === 401) fail(error);
        else if (error?.networkError) end();
        else if (error) fail(error);
        else if (hasNext) show(data.jobStatus);
        else end(); // the last state comes a second time
      });
    });

  return {
    submit: async (input) => jobOf(await ask(client.mutation(SUBMIT, { input }))),
    async follow(id, show) {
      let last = { state: "QUEUED" };
      for (let attempt = 0; !hasEnded(last); attempt++) {
        if (attempt) await pause(attempt);
        await stream(id, (status) => {
          last = status;
          attempt = 0;
          show(status);
        });
      }
    },
    read: async (id) => rowsOf(await ask(client.query(READ, { id }))),
    close() {},
  };
}
