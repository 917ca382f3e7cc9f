"""Variables come to their types; a list that would take long does not."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse
from graphql.execution import get_variable_values

from schema.build import build_schema
from transport.variables import MAX_ENTRIES, VariableTypes

SCHEMA = build_schema().graphql
SUBMIT = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { __typename } }"


def coerced(query: str, given: dict[str, Any] | None) -> dict[str, Any]:
    found = types_of(query).coerce(given, hide_suggestions=False)
    assert not isinstance(found, list), found
    return dict(found.coerced)


def faults(query: str, given: dict[str, Any] | None) -> list[str]:
    found = types_of(query).coerce(given, hide_suggestions=False)
    assert isinstance(found, list)
    return [fault.message for fault in found]


def types_of(query: str) -> VariableTypes:
    (definition,) = parse(query).definitions
    assert isinstance(definition, OperationDefinitionNode)
    return VariableTypes(SCHEMA, definition)


@pytest.mark.parametrize(
    "inline", [[], ["a"], [{"a": [None]}, 1, [2], True], ["a"] * 200_000], ids=len
)
def test_json_values_stay_as_they_are(inline: list[Any]) -> None:
    given = {"input": {"program": "p", "source": {"inline": inline}}}

    assert coerced(SUBMIT, given)["input"]["source"]["inline"] is inline
    assert given["input"]["source"] == {"inline": inline}


def test_lists_of_json_values_may_be_variables_of_their_own() -> None:
    query = (
        "mutation($items: [JSON!], $more: [JSON!]! = [1]) {"
        " submitJob(input: {source: {inline: $items}}) { __typename } }"
    )
    assert coerced(query, {"items": [1, "b"]}) == {"items": [1, "b"], "more": [1]}
    assert coerced(query, {"items": None}) == {"items": None, "more": [1]}
    assert coerced(query, None) == {"more": [1]}


def test_defaults_are_filled_in_beside_what_is_set_aside() -> None:
    found = coerced(SUBMIT, {"input": {"source": {"inline": ["a"]}, "tags": ["t"]}})

    assert found["input"]["partialEveryMs"] == 0
    assert found["input"]["tags"] == ["t"]


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ({"source": {"inline": ["a", None]}}, ".source.inline: entry 1 must not be null"),
        ({"source": {"inline": 1}, "tags": ["a"] * (MAX_ENTRIES + 1)}, ".tags: more than 10000"),
        ({f"a{i}": 1 for i in range(50)}, "'SubmitJobInput' has not as many fields"),
        ({"source": {"inline": []}, "nothing": 1}, "nothing"),
        ({"source": {"inline": []}, "tags": [1]}, "String"),
        ({"source": {"inline": [], "job": "j"}}, "exactly one key"),
        ([], "SubmitJobInput"),
        (None, "non-null"),
    ],
)
def test_what_does_not_fit_is_told(input: Any, message: str) -> None:
    assert any(message in fault for fault in faults(SUBMIT, {"input": input}))


@pytest.mark.parametrize(
    "input",
    [
        {},
        {"program": 1},
        {"program": None, "name": "", "source": {"job": "j"}},
        {"source": {"job": 7}, "timeoutSeconds": 3},
        {"source": {"job": None}},
        {"source": {}},
        {"source": {"inline": None}},
        {"source": {"inline": [1, None]}},
        {"source": {"files": {"uris": "one", "format": "CSV"}}},
        {"source": {"files": {"uris": ["a"], "format": "csv"}}},
        {"source": {"files": {"uris": ["a"], "mode": "OBJECTS", "csv": {"columns": ["b"]}}}},
        {"source": {"files": {"uris": ["a", None]}}},
        {"source": {"inline": []}, "maxConcurrency": 2**31},
        {"source": {"inline": []}, "maxConcurrency": 3.0, "reducers": "3"},
        {"source": {"inline": []}, "webhook": 1, "params": [1, {"a": None}]},
        {"source": {"inline": []}, "failurePolicy": {"maxAttempts": True}},
        {"source": {"inline": []}, "failurePolicy": {"badItems": "SKIP", "backoffMs": None}},
        {"source": {"inline": []}, "tags": None, "unknown": 1},
        {"tags": ["a"] * 500, "source": {"inline": []}},
    ],
    ids=lambda input: str(input)[:60],
)
def test_values_are_what_graphql_core_makes_of_them(input: Any) -> None:
    (definition,) = parse(SUBMIT).definitions
    assert isinstance(definition, OperationDefinitionNode)
    expected = get_variable_values(SCHEMA, definition.variable_definitions or (), {"input": input})

    found = types_of(SUBMIT).coerce({"input": input}, hide_suggestions=False)

    if isinstance(expected, list):
        assert isinstance(found, list)
    else:
        assert not isinstance(found, list)
        assert found.coerced == expected.coerced
        assert found.sources["input"].value == input


def test_many_faults_are_not_told_one_by_one() -> None:
    given = {"input": {"source": {"inline": []}, "tags": [1] * MAX_ENTRIES}}

    assert len(faults(SUBMIT, given)) <= 11


@pytest.mark.parametrize(
    "input",
    [
        {"program": "p", "source": {"inline": ["a"]}, "foo": 1},
        {"uris": ["a"], "source": {"inline": ["a"], "files": {"format": "CSV"}}},
    ],
    ids=["unknown", "missing"],
)
def test_what_was_sent_is_not_repeated_without_its_lists(input: dict[str, Any]) -> None:
    told = faults(SUBMIT, {"input": input})

    assert told
    assert [fault for fault in told if "found" in fault or not fault.endswith(".")] == []
