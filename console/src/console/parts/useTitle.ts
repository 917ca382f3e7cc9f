import { useEffect } from "react";

/** Names the page in the browser's tab, bookmarks and history. */
export function useTitle(...parts: (string | null | undefined)[]): void {
  const title = [...parts.filter(Boolean), "Fanfold"].join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}
