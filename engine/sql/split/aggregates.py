"""How one aggregate is computed in parts: what map makes of a batch, and how parts are merged.

An aggregate that is not here has no partial form; its rows have to meet. No type is known, so a
form is only here when it gives DuckDB's own type for every argument that DuckDB takes (avg of a
timestamp excepted: its parts do not bind, which is an error and no wrong answer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.sql import ast
from engine.sql.ast import Node

# One function that merges its own results, and does not care how often it sees a value.
_IDEMPOTENT: Final = frozenset(
    {"min", "max", "bool_and", "bool_or", "bit_and", "bit_or", "any_value", "arbitrary"}
)
_SELF_MERGING: Final = _IDEMPOTENT | {"sum", "bit_xor", "product"}
_MEANS: Final = frozenset({"avg", "mean"})
_LEAST_BY: Final = {"min_by": "min", "arg_min": "min", "argmin": "min"}
_MOST_BY: Final = {"max_by": "max", "arg_max": "max", "argmax": "max"}
_BY: Final = {**_LEAST_BY, **_MOST_BY}
# DuckDB casts the arguments of these to DOUBLE, so the state has one type; its merge is Chan's.
_STATES_OF_ONE: Final = frozenset(
    {
        "favg",
        "fsum",
        "kahan_sum",
        "kurtosis",
        "kurtosis_pop",
        "sem",
        "skewness",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sumkahan",
        "var_pop",
        "var_samp",
        "variance",
    }
)
_STATES_OF_TWO: Final = frozenset(
    {
        "corr",
        "covar_pop",
        "covar_samp",
        "regr_avgx",
        "regr_avgy",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
    }
)


@dataclass(frozen=True, slots=True)
class Partial:
    """An aggregate in parts.

    Attributes:
        states: Aggregates that map computes, as SQL.
        merges: For each state, how states become one such state; ``{0}``, ``{1}`` are the states.
        final: How states become the value.
    """

    states: tuple[str, ...]
    merges: tuple[str, ...]
    final: str


def counts_values_once(aggregate: Node) -> bool:
    """Whether DISTINCT changes the result of *aggregate*, and is asked for."""
    name = str(aggregate["function_name"]).lower()
    once = name in _IDEMPOTENT or name == "approx_count_distinct"
    return bool(aggregate["distinct"]) and not once


def partial_of(aggregate: Node) -> Partial | None:
    """Return the partial form of *aggregate*, leaving its DISTINCT aside; None if it has none."""
    if aggregate["order_bys"]["orders"] or aggregate["export_state"]:
        return None
    if any(argument["name"] for argument in aggregate["arguments"]):
        return None
    args = tuple(ast.expression_text(argument["expression"]) for argument in aggregate["arguments"])
    condition = aggregate["filter"]
    return partial_form(
        str(aggregate["function_name"]).lower(),
        args,
        condition=ast.expression_text(condition) if condition else None,
    )


def partial_form(name: str, args: tuple[str, ...], *, condition: str | None) -> Partial | None:
    """Return the partial form of the aggregate *name* of *args*, or None.

    Args:
        name: In lower case.
        args: SQL of each argument.
        condition: SQL of its FILTER, if any.
    """
    kept = f" FILTER (WHERE {condition})" if condition else ""
    call = f"{name}({', '.join(args)}){kept}"
    if name == "count_star" and not args:
        return Partial((f"count(*){kept}",), ("sum({0})::BIGINT",), "coalesce(sum({0}), 0)::BIGINT")
    if name == "approx_count_distinct" and len(args) == 1:
        return _exported(name, call, "'BIGINT'")
    if len(args) == 2:
        if name in _BY:
            known = f"({args[0]}) IS NOT NULL" + (f" AND ({condition})" if condition else "")
            by = f"{_BY[name]}({args[1]}) FILTER (WHERE {known})"
            merge = f"{name}({{0}}, {{1}})"
            return Partial((call, by), (merge, f"{_BY[name]}({{1}})"), merge)
        if name in _STATES_OF_TWO:
            return _exported(name, call, "'DOUBLE', 'DOUBLE'")
        return None
    if len(args) != 1:
        return None
    if name in _STATES_OF_ONE:
        return _exported(name, call, "'DOUBLE'")
    if name == "count":
        return Partial((call,), ("sum({0})::BIGINT",), "coalesce(sum({0}), 0)::BIGINT")
    if name in {"count_if", "countif"}:
        # Unlike count, NULL over no rows.
        return Partial((call,), ("sum({0})",), "sum({0})")
    if name in _MEANS:
        states = (f"sum({args[0]}){kept}", f"count({args[0]}){kept}")
        return Partial(
            states, ("sum({0})", "sum({1})::BIGINT"), "(sum({0})::DOUBLE / sum({1})::DOUBLE)"
        )
    if name in _SELF_MERGING:
        merge = f"{name}({{0}})"
        return Partial((call,), (merge,), merge)
    return None


def _exported(name: str, call: str, types: str) -> Partial:
    # EXPORT_STATE comes after FILTER.
    combined = f"combine_aggr(to_aggregate_state({{0}}, '{name}', [{types}]))"
    return Partial((f"{call} EXPORT_STATE",), (combined,), f"finalize({combined})")
