import type { ReactNode } from "react";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <svg viewBox="0 0 64 40" aria-hidden="true">
        <path d="M6 6l16 7-16 7 16 7-16 7M30 6h28M30 20h18M30 34h24" />
      </svg>
      <p>{title}</p>
      {children}
    </div>
  );
}
