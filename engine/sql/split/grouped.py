"""Queries that make groups of rows: partial aggregates, rows that meet, or distinct pairs."""

from __future__ import annotations

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.aggregates import Partial, counts_values_once, partial_of
from engine.sql.split.distinct import can_pair, split_pairs
from engine.sql.split.groups import Groups, grouped_select
from engine.sql.split.states import Moved, States
from engine.sql.split.steps import Combining, SqlSteps


def split_grouped(node: Node, *, combining: Combining) -> SqlSteps:
    """Split a SELECT with aggregates or GROUP BY over a row-wise source.

    Args:
        node: The SELECT.
        combining: What map makes fewer.

    Raises:
        CannotSplit: It is not known how.
    """
    groups = Groups(node)
    partials = [partial_of(aggregate) for aggregate in groups.aggregates]
    if any(partial is None for partial in partials):
        return _shuffled(groups)
    known = [partial for partial in partials if partial is not None]
    if any(counts_values_once(aggregate) for aggregate in groups.aggregates):
        if all(can_pair(aggregate) for aggregate in groups.aggregates):
            return split_pairs(groups, dedupe=combining is Combining.VALUES)
        return _shuffled(groups)
    if combining is Combining.NOTHING and groups.keys:
        return _shuffled(groups)
    return _merged(groups, known)


def _merged(groups: Groups, partials: list[Partial]) -> SqlSteps:
    states = States(list(enumerate(partials)))
    map_ = _partial_rows(groups, states.computed)
    reduced = grouped_select(groups.keys, states.finals, "input")
    return groups.steps(map_, reduced=reduced, partition_by=groups.key_names)


def _partial_rows(groups: Groups, computed: list[str]) -> str:
    selected = ", ".join([*(key.selected for key in groups.keys), *computed])
    grouped = ", ".join(key.grouped for key in groups.keys)
    by = f" GROUP BY {grouped}" if grouped else ""
    return ast.graft(f"SELECT {selected}{by}", groups.node)


def _shuffled(groups: Groups) -> SqlSteps:
    moved = Moved({})
    finals = [
        f"{ast.expression_text(moved.aggregate(aggregate))} AS __m{number}"
        for number, aggregate in enumerate(groups.aggregates)
    ]
    selected = [*(key.selected for key in groups.keys), *moved.computed]
    map_ = ast.graft(f"SELECT {', '.join(selected) or '1 AS __v0'}", groups.node)
    reduced = grouped_select(groups.keys, finals, "input")
    return groups.steps(map_, reduced=reduced, partition_by=groups.key_names)
