"""Checking and pricing a job without storing or running it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import RecordError, SourceError
from engine.plan import Plan, plan_files, plan_inline
from engine.program import Program
from engine.source.roots import SourceRoots
from resolvers.check import URIS_PATH, CheckedInput, check_input, located
from resolvers.services import Services

_COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst", ".zip", ".lz4")
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


async def plan_job(services: Services, *, data: Mapping[str, Any]) -> JobPlan:
    """Check a job and cut its source into batches, as submitting it would.

    Raises:
        InputError: Something in the input is wrong; every problem is listed.
        SourceError: A URI leads nowhere or where it must not, or a record is too large.
    """
    checked = check_input(services.catalog, data)
    plan = await asyncio.to_thread(_cut, checked, services.roots)
    program = checked.program
    return JobPlan(
        items=plan.items,
        size_bytes=plan.size_bytes,
        map_tasks=len(plan.batches),
        reduce_tasks=plan.reducers,
        map_step=_map_step(program),
        reduce_step=_step("reduce", program.reduce),
        finish_step=_step("finish", program.finish),
        warnings=tuple(_warnings(plan, services.roots)),
    )


def _cut(checked: CheckedInput, roots: SourceRoots) -> Plan:
    is_map_only = checked.program.is_map_only
    if checked.spec.source.inline is not None:
        return plan_inline(checked.spec, is_map_only=is_map_only)
    try:
        return plan_files(checked.spec, roots, is_map_only=is_map_only)
    except SourceError as exc:
        raise located(exc) from exc
    except RecordError as exc:
        raise SourceError(exc.message, path=URIS_PATH) from exc


def _map_step(program: Program) -> str:
    steps = (
        _step("map", program.map),
        _step("map_batch", program.map_batch),
        _step("combine", program.combine),
    )
    return ", ".join(step for step in steps if step)


def _step(verb: str, function: Callable[..., Any] | None) -> str | None:
    if function is None:
        return None
    return f"{verb} {getattr(function, '__name__', type(function).__name__)}"


def _warnings(plan: Plan, roots: SourceRoots) -> Iterator[str]:
    if not plan.batches:
        yield "the source is empty; the result will have no rows"
    if len(plan.batches) > _MANY_TASKS:
        yield f"{len(plan.batches)} map tasks are many; larger batches would cost less"
    paths = dict.fromkeys(part.path for batch in plan.batches for part in batch.slices)
    compressed = [path for path in paths if path.lower().endswith(_COMPRESSED)]
    if compressed:
        yield (
            f"{roots.name_of(compressed[0])} looks compressed, one of {len(compressed)}; "
            "files are read as they are"
        )
