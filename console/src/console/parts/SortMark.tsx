export function SortMark({ direction }: { direction: false | "asc" | "desc" }) {
  if (!direction) return null;
  return <span aria-hidden="true">{direction === "asc" ? " ↑" : " ↓"}</span>;
}
