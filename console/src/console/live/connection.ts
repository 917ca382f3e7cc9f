/** What everybody shows of the connection: whether it is up, and who must say who they are. */

import { useSyncExternalStore } from "react";

export interface Connection {
  state: "connecting" | "live" | "lost" | "refused";
  /** Rises each time the connection is back after it was lost: what was read may be old by then. */
  generation: number;
  /** Why a token is asked for; null while none is needed. */
  refusal: string | null;
}

let connection: Connection = { state: "connecting", generation: 0, refusal: null };
const listeners = new Set<() => void>();

export function changeConnection(change: Partial<Connection>): void {
  connection = { ...connection, ...change };
  listeners.forEach((listener) => listener());
}

export const presentConnection = (): Connection => connection;

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useConnection = (): Connection => useSyncExternalStore(listen, presentConnection);
