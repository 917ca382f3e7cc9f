import { formatBytes, formatCount } from "../parts/format";
import type { JobPlan, Planned } from "./usePlan";

export function PlanPanel({ plan, problem, isAsking }: Planned) {
  return (
    <section className="card plan" aria-labelledby="plan" aria-busy={isAsking}>
      <h2 id="plan">Plan</h2>
      <div aria-live="polite">
        {problem && <p className="problem">{problem}</p>}
        {!problem && !plan && <p className="muted">{isAsking ? "Planning…" : "Nothing to plan"}</p>}
        {plan && <Steps plan={plan} />}
      </div>
    </section>
  );
}

function Steps({ plan }: { plan: JobPlan }) {
  const steps = [
    { name: "Map", text: plan.mapStep, tasks: plan.mapTasks },
    { name: "Reduce", text: plan.reduceStep, tasks: plan.reduceTasks },
    { name: "Finish", text: plan.finishStep, tasks: null },
  ];
  const size = [
    plan.items !== null && `${formatCount(plan.items)} items`,
    plan.bytes && formatBytes(plan.bytes),
  ].filter(Boolean);
  return (
    <>
      <p>{size.join(", ")}</p>
      <ol className="steps">
        {steps.map(
          ({ name, text, tasks }) =>
            text && (
              <li key={name}>
                <h3>
                  {name}
                  {tasks !== null && (
                    <span className="muted"> {tasks === 1 ? "1 task" : `${tasks} tasks`}</span>
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
