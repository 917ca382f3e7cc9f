// Where the service is, who asks, and the one WebSocket of the page.
import { createClient } from "graphql-ws";

export const url = new URL("/graphql", location.href).href;

// The token of now, such as a viewer token: what stands behind # is sent to no server.
// A page that fetches its tokens returns a fresh one here; this may be a promise.
const token = (): string | undefined =>
  new URLSearchParams(location.hash.slice(1)).get("token") ?? undefined;

export const headers = (): Record<string, string> => {
  const present = token();
  return present ? { authorization: `Bearer ${present}` } : {};
};

const FORBIDDEN = 4403;
const EVERY_MS = 10_000;
const ANSWERS_WITHIN_MS = 5_000;

let sent: string | undefined;
let overdue: ReturnType<typeof setTimeout> | undefined;

// The service closes with this code when a token is refused, has expired or was revoked. The same
// one would be refused again: subscriptions end with an error, unless there is another by now.
const isRefused = (event: unknown): boolean =>
  event instanceof CloseEvent && event.code === FORBIDDEN && token() === sent;

export const socket = createClient({
  url: url.replace(/^http/, "ws"),
  connectionParams: () => ({ token: (sent = token()) }),
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
  // By default it gives up when nobody answers, but not when it is refused.
  shouldRetry: (event) => !isRefused(event),
});

type State = "well" | "away" | "refused";
let state: State = "well";

/** How the connection is, for React's useSyncExternalStore. */
export const connection = {
  subscribe(changed: () => void): () => void {
    const become = (next: State) => {
      state = next;
      changed();
    };
    const ends = [
      socket.on("connected", () => become("well")),
      socket.on("closed", (event) => {
        const isOver = event instanceof CloseEvent && event.wasClean && event.code === 1000;
        become(isOver ? "well" : isRefused(event) ? "refused" : "away");
      }),
    ];
    return () => ends.forEach((end) => end());
  },
  get: (): State => state,
};

// What has ended with an error begins anew with another token.
addEventListener("hashchange", () => {
  if (state === "refused") location.reload();
});
