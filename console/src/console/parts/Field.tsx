import { useId, type ReactElement, cloneElement } from "react";

interface Props {
  label: string;
  /** Its control stands before the label. */
  isSwitch?: boolean;
  hint?: string | null | undefined;
  problem?: string | null | undefined;
  children: ReactElement<Record<string, unknown>>;
}

/** A labelled control with its hint and what is wrong with it. */
export function Field({ label, isSwitch = false, hint, problem, children }: Props) {
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  return (
    <div className={isSwitch ? "field switch" : "field"}>
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        "aria-describedby": described || undefined,
        "aria-invalid": problem ? true : undefined,
      })}
      {hint && (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {problem && (
        <p className="problem" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  );
}
