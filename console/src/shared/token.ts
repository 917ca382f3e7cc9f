/** What proves who is calling: kept for this tab alone, and never sent by the browser by itself. */

const KEY = "fanfold.token";

export const readToken = (): string | null => sessionStorage.getItem(KEY);

export function keepToken(token: string | null): void {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

export const authorization = (token: string | null): Record<string, string> =>
  token ? { Authorization: `Bearer ${token}` } : {};

/** Whether all that the token opens is a job that was shared. */
export const isViewer = (): boolean => readToken()?.startsWith("fanv_") ?? false;
