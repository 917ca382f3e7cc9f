import { ApolloProvider } from "@apollo/client/react";
import { StrictMode, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "urql";
import { Panel } from "./Panel";
import { client as apollo } from "./apollo/client";
import * as withApollo from "./apollo/useJob";
import { connection } from "./service";
import { client as urql } from "./urql/client";
import * as withUrql from "./urql/useJob";

function App() {
  const state = useSyncExternalStore(connection.subscribe, connection.get);
  return (
    <main>
      <h1>A job in a page</h1>
      {state === "away" && <p role="status">The service is away; trying again.</p>}
      <ApolloProvider client={apollo}>
        <Panel title="Apollo Client" {...withApollo} />
      </ApolloProvider>
      <Provider value={urql}>
        <Panel title="urql" {...withUrql} />
      </Provider>
    </main>
  );
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
