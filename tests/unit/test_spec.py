"""What may be submitted: every default, every problem at once, each with its path."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InputError, Issue
from engine.spec import MAX_TAGS, DataFormat, parse_spec

SMALLEST: dict[str, Any] = {"program": "p", "source": {"inline": ["a"]}}
FILES: dict[str, Any] = {"program": "p", "source": {"files": {"uris": ["a"]}}}

DEFAULTS: dict[str, Any] = {
    "program": "p",
    "params": {},
    "sql": None,
    "source": {"inline": ["a"], "files": None, "upload": None, "job": None},
    "batching": {"maxItems": None, "maxBytes": None},
    "maxConcurrency": None,
    "reducers": None,
    "failurePolicy": {
        "maxAttempts": 3,
        "backoffMs": 500,
        "taskTimeoutSeconds": None,
        "toleratedFailureCount": 0,
        "toleratedFailurePercentage": 0,
        "badItems": "FAIL",
    },
    "output": {"format": "JSONL", "uri": None},
    "partialEveryMs": 0,
    "runner": None,
    "retentionSeconds": None,
    "name": None,
    "tags": [],
    "idempotencyKey": None,
    "timeoutSeconds": None,
    "webhook": None,
}


def problems(data: dict[str, Any]) -> set[str]:
    with pytest.raises(InputError) as caught:
        parse_spec(data)
    return {".".join(issue.path) for issue in caught.value.issues}


def csv(**layout: Any) -> dict[str, Any]:
    return {"files": {"uris": ["a"], "csv": layout}}


def nulled(value: Any) -> Any:
    """Return a tree of defaults with every leaf that is not required as null."""
    if isinstance(value, dict) and value:
        return {key: nulled(part) for key, part in value.items()}
    return None


def test_every_default_is_filled_in() -> None:
    assert parse_spec(SMALLEST).to_json() == DEFAULTS


def test_null_means_left_out_at_every_level() -> None:
    data = {**nulled(DEFAULTS), **SMALLEST}

    assert parse_spec(data) == parse_spec(SMALLEST)
    assert parse_spec({**data, "batching": None, "failurePolicy": None}) == parse_spec(SMALLEST)


def test_null_means_left_out_in_files_too() -> None:
    nulls = {"uris": ["a"], "format": None, "csv": {"delimiter": None, "header": None}}

    parsed = parse_spec({"program": "p", "source": {"files": nulls, "inline": None}})

    assert parsed == parse_spec(FILES)
    assert parsed.source.files is not None
    assert parsed.source.files.format is DataFormat.AUTO


def test_nulls_in_items_and_parameters_are_kept() -> None:
    data = {"program": "p", "params": {"a": None}, "source": {"inline": [{"a": None}]}}

    parsed = parse_spec(data)

    assert parsed.params == {"a": None}
    assert parsed.source.inline == ({"a": None},)


@pytest.mark.parametrize("data", [SMALLEST, FILES])
def test_a_spec_is_read_as_it_was_written(data: dict[str, Any]) -> None:
    spec = parse_spec(data)

    assert parse_spec(spec.to_json()) == spec


def test_every_problem_is_told_at_once_with_its_path() -> None:
    data = {
        "program": "",
        "params": [],
        "source": {"files": {"uris": [], "format": "XML", "csv": {"delimiter": ";;"}}},
        "batching": {"maxItems": 0, "maxBytes": "many"},
        "maxConcurrency": 0,
        "reducers": 1_001,
        "failurePolicy": {"maxAttempts": 0, "backoffMs": -1, "taskTimeoutSeconds": 0},
        "name": "x" * 201,
        "tags": ["fine", ""],
        "idempotencyKey": "",
        "timeoutSeconds": float("nan"),
        "surprise": 1,
    }

    assert problems(data) == {
        "input.program",
        "input.params",
        "input.source.files.uris",
        "input.source.files.format",
        "input.source.files.csv.delimiter",
        "input.batching.maxItems",
        "input.batching.maxBytes",
        "input.maxConcurrency",
        "input.reducers",
        "input.failurePolicy.maxAttempts",
        "input.failurePolicy.backoffMs",
        "input.failurePolicy.taskTimeoutSeconds",
        "input.name",
        "input.tags",
        "input.idempotencyKey",
        "input.timeoutSeconds",
        "input.surprise",
    }


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (None, "input.source"),
        ({}, "input.source"),
        ({"inline": None, "files": None}, "input.source"),
        ({"inline": [], "files": {"uris": ["a"]}}, "input.source"),
        ({"inline": [1]}, "input.source.inline.0"),
        ({"inline": ["a", None]}, "input.source.inline.1"),
        ({"inline": [["a"]]}, "input.source.inline.0"),
        ({"inline": "a"}, "input.source.inline"),
        ({"files": {}}, "input.source.files.uris"),
        ({"files": {"uris": None}}, "input.source.files.uris"),
        ({"files": {"uris": ["a", 1]}}, "input.source.files.uris.1"),
        (
            {"files": {"uris": ["a"], "csv": {"columns": ["a", "a"]}}},
            "input.source.files.csv.columns",
        ),
        ({"files": {"uris": ["a"], "csv": {"delimiter": '"'}}}, "input.source.files.csv.delimiter"),
        ({"files": {"uris": ["a"], "csv": {"delimiter": "é"}}}, "input.source.files.csv.delimiter"),
    ],
)
def test_a_wrong_source_is_refused_where_it_is_wrong(source: Any, path: str) -> None:
    assert problems({"program": "p", "source": source}) == {path}


def test_no_items_are_a_source() -> None:
    assert parse_spec({"program": "p", "source": {"inline": []}}).source.inline == ()


def test_tags_are_kept_once_in_order() -> None:
    assert parse_spec({**SMALLEST, "tags": ["b", "a", "b"]}).tags == ("b", "a")
    assert problems({**SMALLEST, "tags": ["a"] * (MAX_TAGS + 1)}) == {"input.tags"}


@pytest.mark.parametrize("item", [1, None, ["a"], True])
def test_an_inline_item_of_the_wrong_type_is_one_problem(item: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_spec({"program": "p", "source": {"inline": ["a", item]}})

    [issue] = caught.value.issues
    assert issue == Issue(("input", "source", "inline", "1"), "must be a string or an object")


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"tags": ["a"] * 51}, ("tags",), "may have 50 entries, not 51"),
        ({"tags": "a"}, ("tags",), "must be a list"),
        ({"params": 1}, ("params",), "must be an object"),
        ({"batching": []}, ("batching",), "must be an object"),
        ({"unknown": 1}, ("unknown",), "there is no such field"),
        (
            {"source": {"files": {"uris": []}}},
            ("source", "files", "uris"),
            "must have 1 or more entries, not 0",
        ),
    ],
)
def test_what_is_wrong_is_told_in_the_words_of_json(
    given: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse_spec({"program": "p", "source": {"inline": ["a"]}, **given})

    assert Issue(("input", *path), message) in caught.value.issues


@pytest.mark.parametrize("place", ["uris", "columns", "tags"])
def test_of_many_wrong_entries_the_first_is_told(place: str) -> None:
    wrong = [1] * 100_000
    files = {"uris": ["a"], "csv": {"columns": ["a"]}}
    given: dict[str, Any] = {"program": "p", "source": {"files": files}}
    if place == "uris":
        given["source"]["files"] = {"uris": wrong}
    elif place == "columns":
        given["source"]["files"]["csv"]["columns"] = wrong
    else:
        given["tags"] = wrong

    with pytest.raises(InputError) as caught:
        parse_spec(given)

    told = [issue.path[-2:] for issue in caught.value.issues]
    assert (place, "0") in told
    assert len(told) <= 2  # the other one that there are too many


def test_an_object_of_very_many_fields_is_not_looked_at() -> None:
    with pytest.raises(InputError) as caught:
        parse_spec({f"field {n}": n for n in range(70_000)})

    assert caught.value.issues == (Issue(("input",), "has 70000 fields, more than there are"),)
