import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
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
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
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
      socket.dispose();
    },
  };
}
