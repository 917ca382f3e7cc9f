import { useState, type ReactNode } from "react";
import { Dialog } from "./Dialog";

interface Props {
  title: string;
  verb: string;
  /** Returns what went wrong, or null. */
  act: () => Promise<string | null>;
  onClose: () => void;
  children: ReactNode;
}

export function ConfirmDialog({ title, verb, act, onClose, children }: Props) {
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const confirm = async () => {
    setIsBusy(true);
    const problem = await act();
    setIsBusy(false);
    setProblem(problem);
    if (!problem) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{children}</p>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="actions">
        <button className="button" type="button" onClick={onClose}>
          Back
        </button>
        <button className="button danger" type="button" disabled={isBusy} onClick={confirm}>
          {verb}
        </button>
      </div>
    </Dialog>
  );
}
