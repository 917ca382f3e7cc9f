import { useState, type ReactNode } from "react";
import { issueAt, type Issues } from "./issues";
import type { Option } from "./options";

interface Props {
  title: string;
  className?: string;
  /** All that is in it. */
  options: readonly Option[];
  issues: Issues;
  /** Where in the input the options are. */
  within?: string[];
  children: ReactNode;
}

/** What few jobs need: closed, unless something in it is wrong. */
export function Disclosure({ title, className, options, issues, within = [], children }: Props) {
  const [isOpen, setIsOpen] = useState(false);
  const isWrong = options.some(({ path }) => issueAt(issues, ...within, ...path) !== null);
  return (
    <details
      className={className}
      open={isOpen || isWrong}
      onToggle={(event) => setIsOpen(event.currentTarget.open)}
    >
      <summary>{title}</summary>
      {children}
    </details>
  );
}
