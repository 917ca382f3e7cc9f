"""Checking and pricing a job without storing or running it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from engine.errors import RecordError, SourceError
from engine.plan import Grain, Plan, plan_files, plan_inline, sql_reducers
from engine.program import Program
from engine.source.sources import Sources
from resolvers.access.authorize import require
from resolvers.access.caller import Caller, Scope
from resolvers.check import URIS_PATH, check_input, located
from resolvers.prepare import Prepared, prepare
from resolvers.services import Services
from resolvers.webhooks import webhook_issues

_MANY_TASKS: Final = 10_000


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What a job would be.

    Attributes:
        items: Number of items, where it is known before reading.
        size_bytes: Bytes of the source's files.
        map_step: The functions that a map task calls; so with the other steps, None where there
            is no such task.
        warnings: What is allowed but hardly meant.
    """

    items: int | None
    size_bytes: int
    map_tasks: int
    reduce_tasks: int
    map_step: str
    reduce_step: str | None
    finish_step: str | None
    warnings: tuple[str, ...]


async def plan_job(services: Services, *, caller: Caller, data: Mapping[str, Any]) -> JobPlan:
    """Check a job and cut its source into batches, as submitting it would.

    Raises:
        ForbiddenError: The caller may not submit, or not read the job that is the source.
        InputError: Something in the input is wrong; every problem is listed.
        SourceError: A URI leads nowhere or where it must not, a record is too large, or listing
            and cutting take too long.
        QuotaExceededError: Too much of the tenant waits to be looked at already.
    """
    require(caller, Scope.SUBMIT)
    checked = await check_input(
        services.catalog,
        data,
        *await webhook_issues(services, data, caller=caller),
        limits=services.limits,
    )
    prepared = await prepare(services, caller=caller, checked=checked)
    workers = await services.jobs.workers() if prepared.grain is Grain.LARGEST else 1
    cut = partial(_cut, prepared, services.sources, max(1, workers))
    plan = await services.threads.run(caller.tenant, cut)
    steps = _steps_of(prepared)
    return JobPlan(
        items=plan.items,
        size_bytes=plan.size_bytes,
        map_tasks=len(plan.batches),
        reduce_tasks=plan.reducers,
        map_step=steps["map"] or "",
        reduce_step=steps["reduce"],
        finish_step=steps["finish"],
        warnings=tuple(_warnings(plan, prepared)),
    )


def plan_of_inline(prepared: Prepared) -> Plan | None:
    """Return the plan of a job whose items came with the request; None for any other."""
    spec = prepared.checked.spec
    if spec.source.inline is None:
        return None
    plan = plan_inline(spec, is_map_only=prepared.is_map_only)
    reducers = prepared.reducers_of(plan.reducers)
    return plan if plan.reducers == reducers else replace(plan, reducers=reducers)


def _cut(prepared: Prepared, sources: Sources, workers: int) -> Plan:
    inline = plan_of_inline(prepared)
    if inline is not None:
        return inline
    try:
        plan = plan_files(
            prepared.checked.spec,
            sources,
            is_map_only=prepared.is_map_only,
            workers=workers,
            grain=prepared.grain,
            resolved=prepared.resolved_source,
        )
    except SourceError as exc:
        raise located(exc) from exc
    except RecordError as exc:
        raise SourceError(exc.message, path=URIS_PATH) from exc
    if prepared.checked.spec.reducers is None and prepared.sql is not None:
        reducers = sql_reducers(plan.size_bytes, workers=workers)
        return replace(plan, reducers=prepared.reducers_of(reducers))
    return replace(plan, reducers=prepared.reducers_of(plan.reducers))


def _steps_of(prepared: Prepared) -> Mapping[str, str | None]:
    program = prepared.checked.program
    if not isinstance(program, Program):
        steps: Mapping[str, str | None] = prepared.sql.job["steps"] if prepared.sql else {}
        return steps
    mapping = (
        _step("map", program.map),
        _step("map_batch", program.map_batch),
        _step("combine", program.combine),
    )
    return {
        "map": ", ".join(step for step in mapping if step),
        "reduce": _step("reduce", program.reduce),
        "finish": _step("finish", program.finish),
    }


def _step(verb: str, function: Callable[..., Any] | None) -> str | None:
    if function is None:
        return None
    return f"{verb} {getattr(function, '__name__', type(function).__name__)}"


def _warnings(plan: Plan, prepared: Prepared) -> Iterator[str]:
    if not plan.batches:
        yield "the source is empty; the result will have no rows"
    if len(plan.batches) > _MANY_TASKS:
        yield f"{len(plan.batches)} map tasks are many; larger batches would cost less"
    if prepared.sql is not None and prepared.sql.has_one_reducer and len(plan.batches) > 1:
        yield "the query cannot be reduced in parts: one task gets the rows of all map tasks"
    if prepared.checked.spec.partial_every_ms and not prepared.supports_partial:
        yield "there is no answer before the end: partialEveryMs has no effect"
