// Where the service is, who asks, and the one WebSocket of the page.
import { createClient } from "graphql-ws";

export const url = new URL("/graphql", location.href).href;

// Such as a viewer token: what stands behind # is sent to no server.
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? undefined;
export const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};

const FORBIDDEN = 4403;
const EVERY_MS = 10_000;
const ANSWERS_WITHIN_MS = 5_000;

let overdue: ReturnType<typeof setTimeout> | undefined;

export const socket = createClient({
  url: url.replace(/^http/, "ws"),
  connectionParams: { token },
  // A server that has vanished without a word answers no ping.
  keepAlive: EVERY_MS,
  on: {
    ping: (wasReceived) => {
      if (!wasReceived) overdue = setTimeout(() => socket.terminate(), ANSWERS_WITHIN_MS);
    },
    pong: (wasReceived) => {
      if (wasReceived) clearTimeout(overdue);
    },
    closed: () => clearTimeout(overdue),
  },
  retryAttempts: Infinity,
  // Pauses that grow, and differ, so that not all pages come back in the same moment.
  retryWait: (attempt) =>
    new Promise((resume) => {
      setTimeout(resume, Math.min(100 * 2 ** attempt, 5_000) * (0.5 + Math.random() / 2));
    }),
  // By default it gives up when nobody answers; what does not help is asking with the same token.
  shouldRetry: (event) => !(event instanceof CloseEvent && event.code === FORBIDDEN),
});

let isConnected = true;

export const connection = {
  subscribe(changed: () => void): () => void {
    const ends = [
      socket.on("connected", () => {
        isConnected = true;
        changed();
      }),
      socket.on("closed", (event) => {
        isConnected = event instanceof CloseEvent && event.wasClean && event.code === 1000;
        changed();
      }),
    ];
    return () => ends.forEach((end) => end());
  },
  get: (): boolean => isConnected,
};
