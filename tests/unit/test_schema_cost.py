"""The cost of an operation: objects, scalars, depth, and how long pages may be."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse

from schema.build import build_schema
from schema.cost import Cost
from schema.repetition import comparisons_in

SCHEMA = build_schema().graphql


def cost_of(query: str, **variables: Any) -> float:
    document = parse(query)
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    (operation,) = (
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    )
    return Cost(SCHEMA, operation, fragments).of(variables)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ service { version } }", 2 + 1.5),
        ("{ service { version maxWaitMs } programs { name } }", 2 + 1.5 * 2 + 2 + 1.5),
        ("{ ...F } fragment F on Query { service { ... { version } } }", 2 + 1.5),
        ("{ job(id: 1) { status { state } } }", 2 + 1.5 * (2 + 1.5)),
        ("{ __typename __schema { types { name } } }", 0),
        ("{ jobs(first: 25) { edges { cursor } } }", 2 + 1.5 * (2 + 1.5)),
        ("{ jobs { edges { cursor } } }", 2 + 1.5 * (2 + 1.5)),
        ("{ jobs(first: 100) { edges { cursor } } }", 2 + 4 * 1.5 * (2 + 1.5)),
        ("{ jobs(first: 1) { edges { cursor } } }", 2 + 1.5 * (2 + 1.5)),
        ("{ jobs(first: 999999) { edges { cursor } } }", 2 + 8 * 1.5 * (2 + 1.5)),
        ("query($n: Int) { jobs(first: $n) { edges { cursor } } }", 2 + 1.5 * (2 + 1.5)),
    ],
)
def test_it_adds_up(query: str, cost: float) -> None:
    assert cost_of(query) == cost


def test_a_page_may_be_as_long_as_a_variable_says() -> None:
    query = "query($n: Int) { jobs(first: $n) { edges { cursor } } }"

    assert cost_of(query, n=50) == 2 + 2 * 1.5 * (2 + 1.5)


@pytest.mark.parametrize(
    ("query", "comparisons"),
    [
        ("{ a b c }", 0),
        ("{ a a }", 1),
        ("{ a a a }", 3),
        ("{ a: x a: y }", 1),
        ("{ a { b } ... { a { b } } }", 2),
        ("{ ...F ...F a } fragment F on Query { a }", 1),
        ("{ ...F } fragment F on Query { ...F a }", 0),
    ],
)
def test_fields_of_one_name_in_one_place_are_counted_in_pairs(query: str, comparisons: int) -> None:
    assert comparisons_in(parse(query)) == comparisons
