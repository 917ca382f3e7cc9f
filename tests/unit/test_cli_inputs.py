"""From words of the command line to a SubmitJobInput."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client.inputs import build_input, failure_policy, parse_params, source_of

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_a_parameter_that_is_json_is_that_value(value: object) -> None:
    assert parse_params([f"key={json.dumps(value)}"]) == {"key": value}


@pytest.mark.parametrize(
    "word", ["error", "[a-z]+", "{", '"open', "NaN", "Infinity", "a=b", "", "01", "tRUE", " x"]
)
def test_a_parameter_that_is_not_json_is_text(word: str) -> None:
    assert parse_params([f"pattern={word}"]) == {"pattern": word}


@pytest.mark.parametrize("word", ["", "top", "=20"])
def test_a_parameter_without_key_or_value_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is not of the form key=value"):
        parse_params([word])


def test_a_parameter_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'top' is given twice"):
        parse_params(["top=1", "top=2"])


def test_what_was_left_out_is_not_sent() -> None:
    job = build_input(program="wordcount", source={"inline": []}, params={}, name=None, tags=[])

    assert job == {"program": "wordcount", "source": {"inline": []}}


def test_what_was_given_is_sent() -> None:
    job = build_input(
        program="wordcount",
        source={},
        params={"top": 3},
        name="words",
        tags=["a", "b"],
        max_concurrency=4,
        failure_policy={"maxAttempts": 1},
    )

    assert (job["params"], job["name"], job["tags"]) == ({"top": 3}, "words", ["a", "b"])
    assert (job["maxConcurrency"], job["failurePolicy"]) == (4, {"maxAttempts": 1})


@pytest.mark.parametrize(
    ("word", "policy"),
    [
        ("0", {"toleratedFailureCount": 0}),
        ("12", {"toleratedFailureCount": 12}),
        ("0%", {"toleratedFailurePercentage": 0.0}),
        ("0.5%", {"toleratedFailurePercentage": 0.5}),
    ],
)
def test_a_tolerance_is_a_number_or_a_share(word: str, policy: dict[str, float]) -> None:
    assert failure_policy(attempts=None, tolerate=word, skips_bad_items=False) == policy


@pytest.mark.parametrize("word", ["", "%", "-1", "1.5", "nan%", "5 %", "five", "1e3", "²"])
def test_a_tolerance_that_is_neither_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="neither a number of items nor a share"):
        failure_policy(attempts=None, tolerate=word, skips_bad_items=False)


def test_a_failure_policy_has_what_was_given() -> None:
    assert failure_policy(attempts=None, tolerate=None, skips_bad_items=False) == {}
    assert failure_policy(attempts=1, tolerate=None, skips_bad_items=True) == {
        "maxAttempts": 1,
        "badItems": "SKIP",
    }


def test_uris_are_files_of_the_service() -> None:
    assert source_of(["a.txt", "b/*"], data_format=None, stdin=[]) == {
        "files": {"uris": ["a.txt", "b/*"]}
    }
    assert source_of(["a"], data_format="CSV", stdin=[]) == {
        "files": {"uris": ["a"], "format": "CSV"}
    }


def test_a_dash_sends_the_lines_of_standard_input() -> None:
    source = source_of(["-"], data_format=None, stdin=["one\r\n", "\n", " two "])

    assert source == {"inline": ["one", "", " two "]}


def test_lines_of_json_are_sent_as_values() -> None:
    source = source_of(["-"], data_format="JSONL", stdin=['{"a": 1}\n', "\n", '{"a": null}\n'])

    assert source == {"inline": [{"a": 1}, {"a": None}]}


def test_a_line_that_is_not_json_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="line 2 of standard input is not JSON"):
        source_of(["-"], data_format="JSONL", stdin=["1\n", "one\n"])


@pytest.mark.parametrize(("uris", "data_format"), [(["-", "a"], None), (["-"], "CSV")])
def test_a_dash_that_cannot_be_meant_is_refused(uris: list[str], data_format: str | None) -> None:
    with pytest.raises(ValueError, match="standard input"):
        source_of(uris, data_format=data_format, stdin=[])
