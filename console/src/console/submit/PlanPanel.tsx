import { formatBytes, formatCount } from "../parts/format";
import type { JobPlan, Planned } from "./usePlan";

interface Props extends Planned {
  /** Why there is nothing to plan yet. */
  missing: string | null;
}

export function PlanPanel({ plan, problem, issues, isAsking, missing }: Props) {
  return (
    <section className="card plan" aria-labelledby="plan" aria-busy={isAsking}>
      <h2 id="plan">Plan</h2>
      <div aria-live="polite">
        {problem && <Problem problem={problem} issues={issues} />}
        {!problem && !plan && (
          <p className="muted">{missing ?? (isAsking ? "Planning…" : "Nothing to plan")}</p>
        )}
        {plan && <Steps plan={plan} />}
      </div>
    </section>
  );
}

function Problem({ problem, issues }: Pick<Props, "issues"> & { problem: string }) {
  if (issues.length === 0) return <p className="problem">{problem}</p>;
  return (
    <ul className="issues problem">
      {issues.map(({ path, message }) => (
        <li key={`${path.join(".")} ${message}`}>
          <strong>{path.slice(1).join(" › ")}</strong> {message}
        </li>
      ))}
    </ul>
  );
}

function Steps({ plan }: { plan: JobPlan }) {
  const steps = [
    { name: "Map", text: plan.mapStep, tasks: plan.mapTasks },
    { name: "Reduce", text: plan.reduceStep, tasks: plan.reduceTasks },
    { name: "Finish", text: plan.finishStep, tasks: null },
  ];
  const size = [
    plan.items !== null && (plan.items === 1 ? "1 item" : `${formatCount(plan.items)} items`),
    plan.bytes && formatBytes(plan.bytes),
  ].filter(Boolean);
  return (
    <>
      {size.length > 0 && <p>{size.join(", ")}</p>}
      <ol className="steps">
        {steps.map(
          ({ name, text, tasks }) =>
            text && (
              <li key={name}>
                <h3>
                  {name}
                  {tasks !== null && (
                    <span className="muted">
                      {tasks === 1 ? "1 task" : `${formatCount(tasks)} tasks`}
                    </span>
                  )}
                </h3>
                <pre tabIndex={0} aria-label={`${name} step`}>
                  {text}
                </pre>
              </li>
            ),
        )}
      </ol>
      {plan.warnings.map((warning) => (
        <p className="notice" key={warning}>
          {warning}
        </p>
      ))}
    </>
  );
}
