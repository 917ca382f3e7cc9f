/** One WebSocket for all subscriptions; it comes back by itself whenever it is lost. */

import { createClient } from "graphql-ws";
import { SOCKET_URL } from "../../shared/addresses";
import { keepDigits } from "../../shared/json";
import { readToken } from "../../shared/token";
import { changeConnection, presentConnection } from "./connection";

const FORBIDDEN = 4403;
const LONGEST_WAIT_MS = 5_000;

let wasLive = false;

export const socket = createClient({
  url: SOCKET_URL,
  connectionParams: () => {
    const token = readToken();
    return token ? { token } : {};
  },
  jsonMessageReviver: keepDigits,
  lazy: false,
  onNonLazyError: () => undefined, // told by "closed"
  keepAlive: 15_000,
  retryAttempts: Infinity,
  // With the same token it would be refused again; another one loads the page anew.
  shouldRetry: (event) => (event as CloseEvent).code !== FORBIDDEN,
  retryWait: async (retries) => {
    const longest = Math.min(LONGEST_WAIT_MS, 250 * 2 ** retries);
    await new Promise((resolve) => setTimeout(resolve, longest * (0.5 + Math.random() / 2)));
  },
  on: {
    connected: () => {
      const { generation } = presentConnection();
      changeConnection({ state: "live", generation: generation + (wasLive ? 1 : 0) });
      wasLive = true;
    },
    closed: (event) => {
      const { code, reason } = event as CloseEvent;
      if (code === FORBIDDEN)
        changeConnection({ state: "refused", refusal: reason || "Not allowed." });
      else changeConnection({ state: "lost" });
    },
  },
});
