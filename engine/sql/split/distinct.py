"""Aggregates that count values once: pairs of keys and value meet, then keys."""

from __future__ import annotations

from collections.abc import Mapping

from engine.sql import ast
from engine.sql.ast import Node
from engine.sql.split.aggregates import Partial, counts_values_once, partial_of
from engine.sql.split.groups import Groups, grouped_select
from engine.sql.split.states import Moved, States
from engine.sql.split.steps import ONE_SCAN, ROWS, CannotSplit, SqlSteps


def can_pair(aggregate: Node) -> bool:
    """Whether *aggregate* fits between pairs."""
    return not counts_values_once(aggregate) or len(aggregate["arguments"]) == 1


def split_pairs(groups: Groups, *, dedupe: bool) -> SqlSteps:
    """Split by values to be counted once: pairs of keys and value meet, then keys.

    Map gives for each kind of pair rows of keys and value, ``__d0``, ``__d1``, …, and rows of
    partial aggregates or of keys whose values are NULL, in which these are NULL. The states of the
    former are packed in ``__s``, which costs a row of a pair 4 bytes. Reduce drops repeated pairs
    and makes both into states, which finish merges.
    """
    pairs: dict[str, list[int]] = {}
    for number, aggregate in enumerate(groups.aggregates):
        if counts_values_once(aggregate):
            pairs.setdefault(_counted_value(aggregate), []).append(number)
    values = {text: f"__d{at}" for at, text in enumerate(pairs)}
    moved = Moved(values | {key.grouped: key.name for key in groups.keys})
    usual = [
        (number, _required_form(moved.aggregate(aggregate)))
        for number, aggregate in enumerate(groups.aggregates)
        if not counts_values_once(aggregate)
    ]
    # States over a pair's value, under the name it has in map's rows.
    over = {
        name: [(n, _required_form(_over_value(groups.aggregates[n], name))) for n in numbers]
        for name, numbers in zip(values.values(), pairs.values(), strict=True)
    }
    own = States(usual)
    # Of other names: sum(__d0) over all rows is not sum(__d0) over pairs.
    states = States([form for forms in over.values() for form in forms], prefix="__b")
    reduces = [_reduced_partials(groups, own, tuple(values.values()))]
    for name, forms in over.items():
        computed = states.computed_of(dict.fromkeys(s for _, form in forms for s in form.states))
        distinct = ", ".join([*_quoted_names(groups), name])
        source = f"(SELECT DISTINCT {distinct} FROM input WHERE {name} IS NOT NULL)"
        reduces.append(grouped_select(groups.keys, computed, source))
    finals = grouped_select(groups.keys, own.finals + states.finals, "input")
    return SqlSteps(
        map=_mapped_pairs(groups, values, moved, own, dedupe=dedupe),
        partition_by=(*groups.key_names, *values.values()),
        reduce=_united([select for select in reduces if select]),
        finish=groups.finished(finals),
    )


def _mapped_pairs(
    groups: Groups, values: Mapping[str, str], moved: Moved, states: States, *, dedupe: bool
) -> str:
    keys = _quoted_names(groups)
    selected = [key.selected for key in groups.keys]
    selected += [f"{text} AS {name}" for text, name in values.items()] + moved.computed
    scan = ast.graft(f"SELECT {', '.join(selected)}", groups.node)
    parts = []
    if states.packed:
        parts.append(grouped_select(groups.keys, [states.packed], ROWS))
    elif keys:
        # Without one value a group would go unseen.
        nothing = " AND ".join(f"{name} IS NULL" for name in values.values())
        parts.append(grouped_select(groups.keys, [], f"{ROWS} WHERE {nothing}"))
    distinct = "DISTINCT " if dedupe else ""
    for name in values.values():
        columns = ", ".join([*keys, name])
        parts.append(f"SELECT {distinct}{columns} FROM {ROWS} WHERE {name} IS NOT NULL")
    # The source, which may be a file to parse, is read once.
    begin = ONE_SCAN if len(parts) > 1 else f"WITH {ROWS} AS ("
    return f"{begin}{scan}) {_united(parts)}"


def _reduced_partials(groups: Groups, states: States, values: tuple[str, ...]) -> str:
    keys = _quoted_names(groups)
    if states.packed:
        unpacked = ", ".join([*keys, *states.unpacked])
        source = f"(SELECT {unpacked} FROM input WHERE __s IS NOT NULL)"
        return grouped_select(groups.keys, states.merged, source)
    nothing = " AND ".join(f"{name} IS NULL" for name in values)
    return grouped_select(groups.keys, [], f"input WHERE {nothing}") if keys else ""


def _quoted_names(groups: Groups) -> list[str]:
    return [ast.quoted(name) for name in groups.key_names]


def _counted_value(aggregate: Node) -> str:
    """Return SQL of the value that is to be counted once, NULL where it is not counted."""
    value = ast.expression_text(aggregate["arguments"][0]["expression"])
    condition = aggregate["filter"]
    if not condition:
        return value
    return f"CASE WHEN {ast.expression_text(condition)} THEN {value} END"


def _over_value(aggregate: Node, value: str) -> Node:
    return {
        **aggregate,
        "distinct": False,
        "filter": None,
        "arguments": [{"name": "", "expression": ast.column(value)}],
    }


def _required_form(aggregate: Node) -> Partial:
    partial = partial_of(aggregate)
    if partial is None:
        raise CannotSplit("no partial form")
    return partial


def _united(selects: list[str]) -> str:
    return " UNION ALL BY NAME ".join(f"({select})" for select in selects)
