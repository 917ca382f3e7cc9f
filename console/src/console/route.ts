/** Which page the address names, after "#": so the service needs to know one address alone. */

import { useSyncExternalStore } from "react";
import { keepToken } from "../shared/token";

export type Route =
  | { page: "jobs"; query: URLSearchParams }
  | { page: "job"; id: string }
  | { page: "new"; query: URLSearchParams };

export function routeOf(hash: string): Route {
  const [path = "", search] = hash.replace(/^#/, "").split("?");
  const query = new URLSearchParams(search);
  const [, page, id] = path.split("/");
  if (page === "jobs" && id) return { page: "job", id: decodeURIComponent(id) };
  return page === "new" ? { page: "new", query } : { page: "jobs", query };
}

export const jobPath = (id: string): string => `#/jobs/${encodeURIComponent(id)}`;

/** The form, with a job's result as the source, or filled like a job. */
export const newPath = (how: { source: string } | { like: string }): string =>
  `#/new?${new URLSearchParams(how)}`;

export const linkWithToken = (id: string, token: string): string =>
  `${location.origin}/${jobPath(id)}?token=${encodeURIComponent(token)}`;

/** Takes the token out of a shared link, so that it is not bookmarked; tells if there was one. */
export function takeTokenFromAddress(): boolean {
  const [path, search] = location.hash.split("?");
  const query = new URLSearchParams(search);
  const token = query.get("token");
  if (!token) return false;
  keepToken(token);
  query.delete("token");
  const rest = query.size ? `?${query}` : "";
  history.replaceState(null, "", `${location.pathname}${path}${rest}`);
  return true;
}

function listen(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

export const useHash = (): string => useSyncExternalStore(listen, () => location.hash);
