import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, Observable, gql } from "@apollo/client";
import { OperationTypeNode, print } from "graphql";
import { createClient } from "graphql-sse";
import { FOLLOW, READ, SUBMIT, asking, headersOf, jobOf, pause, rowsOf } from "./documents.mjs";

class SseLink extends ApolloLink {
  constructor(client) {
    super();
    this.client = client;
  }

  request({ query, variables, operationName }) {
    const request = { query: print(query), variables, operationName };
    return new Observable((sink) => this.client.subscribe(request, sink));
  }
}

export function connect(url, token) {
  const events = createClient({ url, ...asking(token), retryAttempts: Infinity, retry: pause });
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new SseLink(events),
      new HttpLink({ uri: url, headers: headersOf(token) }),
    ),
  });

  return {
    async submit(input) {
      const { data } = await client.mutate({ mutation: gql(SUBMIT), variables: { input } });
      return jobOf(data);
    },
    follow: (id, show) =>
      new Promise((complete, fail) => {
        client.subscribe({ query: gql(FOLLOW), variables: { id } }).subscribe({
          next: ({ data, error }) => (error ? fail(error) : show(data.jobStatus)),
          error: fail,
          complete,
        });
      }),
    async read(id) {
      const { data } = await client.query({ query: gql(READ), variables: { id } });
      return rowsOf(data);
    },
    close() {
      client.stop();
      events.dispose();
    },
  };
}
