// Has the first connection of graphql-ws closed in one way; prints how it took that, as JSON.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [code, url] = process.argv.slice(2);
const QUERY = "{ service { version } }";
const ENDLESS = "subscription { jobFeed { id } }";
const query = code === "4409" ? ENDLESS : QUERY;

// What goes out on the first connection instead of a message.
const FAULTS = {
  4400: (text, { type }) => (type === "subscribe" ? ["this is no JSON"] : [text]),
  4401: (_, { type }) =>
    type === "connection_init" ? ['{"id":"1","type":"subscribe","payload":{"query":"{a}"}}'] : [],
  4403: (text) => [text],
  4406: (text) => [text],
  4408: () => [],
  4409: (text, { type }) => (type === "subscribe" ? [text, text] : [text]),
  4429: (text, { type }) => (type === "connection_init" ? [text, text] : [text]),
};

let connections = 0;
const closes = [];

class FaultySocket extends WebSocket {
  constructor(address, protocol) {
    const isFirst = connections++ === 0;
    super(address, isFirst && code === "4406" ? [] : protocol);
    this.fault = isFirst ? FAULTS[code] : (text) => [text];
  }

  send(text) {
    for (const instead of this.fault(text, JSON.parse(text))) super.send(instead);
  }
}

const client = createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: FaultySocket,
  connectionParams: code === "4403" ? { token: "nobody's" } : undefined,
  retryAttempts: 1,
  retryWait: async () => {},
  on: { closed: ({ code, reason }) => closes.push([code, reason]) },
});

let outcome;
try {
  const { value } = await client.iterate({ query }).next();
  outcome = value.errors ? "refused" : "answered";
} catch (error) {
  outcome = `failed with ${error.code}`;
}
console.log(JSON.stringify({ connections, closes, outcome }));
process.exit();
