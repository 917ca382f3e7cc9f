"""From words of the command line to a SubmitJobInput."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from app.client.flags import flag_of, problem_of
from app.client.inputs import (
    build_input,
    failure_policy,
    parse_params,
    program_and_uris,
    whole,
)
from app.client.sources import Layout, file_to_send, local_file, sent_source, source_of
from app.commands.durations import duration_s

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


@pytest.mark.parametrize("value", ["1e400", "-1e400", '[1, {"a": 1E309}]', "9" * 400, "9" * 5_000])
def test_a_parameter_with_a_number_that_is_too_large_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^--param top: \S{1,21} is too large for a number$"):
        parse_params(["x=1", f"top={value}"])


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
        ("0", (0, 0)),
        ("12", (12, 0)),
        ("0%", (0, 0)),
        ("0.5%", (0, 0.5)),
    ],
)
def test_a_tolerance_is_a_number_or_a_share_and_never_both(
    word: str, policy: tuple[float, float]
) -> None:
    told = failure_policy(attempts=None, tolerate=word, skips_bad_items=False)

    assert (told["toleratedFailureCount"], told["toleratedFailurePercentage"]) == policy


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
    assert source_of(["a.txt", "b/*"], layout=Layout(), stdin=[]) == {
        "files": {"uris": ["a.txt", "b/*"]}
    }
    assert source_of(["a"], layout=Layout("CSV", mode="RECORDS"), stdin=[]) == {
        "files": {"uris": ["a"], "format": "CSV", "mode": "RECORDS"}
    }


def test_a_layout_of_csv_has_what_was_given() -> None:
    tabs = Layout(delimiter="\\t", has_header=False, columns="a, b")

    assert tabs.as_input() == {"csv": {"delimiter": "\t", "columns": ["a", "b"], "header": False}}
    assert Layout(delimiter=";").as_input() == {"csv": {"delimiter": ";"}}


def test_a_dash_sends_the_lines_of_standard_input() -> None:
    source = source_of(["-"], layout=Layout(), stdin=["one\r\n", "\n", " two "])

    assert source == {"inline": ["one", "", " two "]}


def test_lines_of_json_are_sent_as_values() -> None:
    lines = ['{"a": 1}\n', "\n", '{"a": null}\n']

    source = source_of(["-"], layout=Layout("JSONL"), stdin=lines)

    assert source == {"inline": [{"a": 1}, {"a": None}]}


def test_a_line_that_is_not_json_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="line 2 of standard input is not JSON"):
        source_of(["-"], layout=Layout("JSONL"), stdin=["1\n", "one\n"])


@pytest.mark.parametrize(
    ("line", "told"),
    [('{"a": 1e400}', "line 2 of standard input: 1e400 is too large"), ("[" * 90_000, "too deep")],
)
def test_a_line_of_json_that_cannot_be_sent_is_refused(line: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        source_of(["-"], layout=Layout("JSONL"), stdin=["1\n", f"{line}\n"])


@pytest.mark.parametrize(
    ("uris", "layout"),
    [(["-", "a"], Layout()), (["-"], Layout("CSV")), (["-"], Layout(delimiter=";"))],
)
def test_a_dash_that_cannot_be_meant_is_refused(uris: list[str], layout: Layout) -> None:
    with pytest.raises(ValueError, match="standard input"):
        source_of(uris, layout=layout, stdin=[])


def test_another_job_is_the_whole_input() -> None:
    words = program_and_uris(["wordcount"], sql=None, has_source=True)

    assert words == ("wordcount", [])
    assert source_of([], layout=Layout(), from_job="j-1", stdin=[]) == {"job": "j-1"}
    with pytest.raises(ValueError, match="--from-job"):
        source_of(["a"], layout=Layout(), from_job="j-1", stdin=[])


def test_a_file_that_was_sent_keeps_its_layout(tmp_path: Path) -> None:
    path = tmp_path / "a;b.csv"
    path.touch()
    source = source_of([str(path)], layout=Layout(delimiter=";"), stdin=[])

    assert file_to_send(source) == local_file(source) == path
    assert sent_source(source, "u-1") == {"upload": {"id": "u-1", "csv": {"delimiter": ";"}}}


@pytest.mark.parametrize("uris", [["none.csv"], ["s3://a/b"], ["a", "b"], ["x" * 10_000]])
def test_what_is_no_file_of_this_machine_is_not_sent(uris: list[str]) -> None:
    source = source_of(uris, layout=Layout(), stdin=[])

    assert local_file(source) is None
    with pytest.raises(ValueError, match="--upload sends one file"):
        file_to_send(source)


@pytest.mark.parametrize(
    ("path", "flag"),
    [
        (["input", "timeoutSeconds"], "--timeout"),
        (["input", "params", "top"], "--param top"),
        (["input", "params"], "--param"),
        (["input", "tags", "3"], "--tag"),
        (["input", "source", "upload", "csv", "delimiter"], "--csv-delimiter"),
        (["input", "source", "inline", "7"], "source.inline.7"),
        (["input"], ""),
    ],
)
def test_a_problem_is_told_by_the_option_that_it_is_in(path: list[str], flag: str) -> None:
    assert flag_of(path) == flag


@pytest.mark.parametrize(
    ("word", "seconds"), [("90", 90), ("250ms", 0.25), (".5s", 0.5), ("10m", 600), ("2h", 7_200)]
)
def test_a_duration_has_a_unit(word: str, seconds: float) -> None:
    assert duration_s(word) == pytest.approx(seconds)


@pytest.mark.parametrize(("seconds", "ms"), [(0, 0), (0.0001, 1), (0.25, 250), (1.1, 1_100)])
def test_only_a_duration_of_nothing_is_rounded_to_nothing(seconds: float, ms: int) -> None:
    job = build_input(source={}, params={}, partial_every_s=seconds, retention_s=seconds)

    assert job["partialEveryMs"] == whole(seconds, 1_000) == ms
    assert (job["retentionSeconds"] == 0) is (seconds == 0)


@pytest.mark.parametrize(
    ("field", "message", "told"),
    [
        ("ttlSeconds", "must be 1 to 86400, is 172800", "--ttl: must be 1s to 1d, is 2d"),
        ("timeoutSeconds", "must be more than 0", "--timeout: must be more than 0"),
        ("timeoutSeconds", "is 0.0005", "--timeout: is 0.5ms"),
        ("retentionSeconds", "is 315360060", "--retention: is 5256001m"),
        ("partialEveryMs", "is 86400001", "--partial-every: is 86400001ms"),
        ("maxConcurrency", "must be 1 to 10000", "--max-concurrency: must be 1 to 10000"),
    ],
)
def test_durations_are_told_as_their_options_take_them(field: str, message: str, told: str) -> None:
    assert problem_of(["input", field], message) == told


def test_a_number_of_a_program_is_no_duration() -> None:
    path = ["input", "params", "timeoutSeconds"]

    assert problem_of(path, "is 3600") == "--param timeoutSeconds: is 3600"


@pytest.mark.parametrize("word", ["", "m", "-1", "1 h", "1w", "1e3", "nan", "²", "9" * 400])
def test_what_is_no_duration_is_refused(word: str) -> None:
    with pytest.raises(typer.BadParameter, match="no duration"):
        duration_s(word)
