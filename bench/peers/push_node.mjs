// graphql-ws on Node: one Redis subscriber for all, events handed to those who follow the job.
import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createClient } from 'redis';
import { WebSocketServer } from 'ws';

const schema = buildSchema(`
  type JobStatus {
    id: ID! version: Int! state: String! phase: String! ratio: Float bytesRead: Float!
    message: String updatedAt: String!
  }
  type Query { ping: String }
  type Subscription { jobStatus(id: ID!, minIntervalMs: Int): JobStatus! }
`);

const followers = new Map();
const address = process.env.PUSH_REDIS;
const redis = createClient(
  address.startsWith('unix://') ? { socket: { path: address.slice(7) } } : { url: address },
);
await redis.connect();
await redis.pSubscribe('job:*', (message, channel) => {
  const some = followers.get(channel.slice(4));
  if (!some) return;
  const event = { jobStatus: JSON.parse(message) };
  for (const push of some) push(event);
});

async function* follow(id) {
  const queue = [];
  let wake = null;
  const push = (event) => {
    queue.push(event);
    if (wake) wake();
  };
  if (!followers.has(id)) followers.set(id, new Set());
  followers.get(id).add(push);
  try {
    while (true) {
      while (queue.length) yield queue.shift();
      await new Promise((resolve) => (wake = resolve));
      wake = null;
    }
  } finally {
    followers.get(id).delete(push);
  }
}

const http = createServer();
const server = new WebSocketServer({ server: http, path: '/graphql' });
useServer({ schema, roots: { subscription: { jobStatus: ({ id }) => follow(id) } } }, server);
http.listen({ port: Number(process.env.PUSH_PORT), host: '127.0.0.1', backlog: 4096 });
