"""The exit status that every end has, and words that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from app.cli import run
from app.client.errors import ServiceError, exit_status_of, has_ended
from engine.job import JobState


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("SUCCEEDED", 0),
        ("FAILED", 1),
        ("CANCELLED", 1),
        ("TIMED_OUT", 1),
        ("PARTIALLY_SUCCEEDED", 2),
    ],
)
def test_a_state_has_its_exit_status(state: str, status: int) -> None:
    assert exit_status_of(state) == status


@pytest.mark.parametrize("state", list(JobState))
def test_the_same_states_end_a_job_for_client_and_engine(state: JobState) -> None:
    assert has_ended(state.value) == state.is_terminal


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("VALIDATION_FAILED", 3),
        ("NOT_FOUND", 3),
        ("SOURCE_UNREADABLE", 3),
        ("SOME_LATER_CODE", 3),
        ("UNREACHABLE", 4),
        ("UNAVAILABLE", 4),
        ("INTERNAL", 4),
    ],
)
def test_an_error_tells_whether_to_ask_otherwise_or_later(code: str, status: int) -> None:
    assert ServiceError("no", code=code).exit_status == status


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sumbit"], "No such command 'sumbit'"),
        (["submit", "wordcount"], "Missing argument 'URI'; 'fanfold submit --help' tells more"),
        (["submit", "wordcount", "x", "--tpo"], "No such option: --tpo"),
        (["submit", "wordcount", "x", "--format", "xml"], "'xml' is not one of"),
        (["submit", "wordcount", "x", "--param", "top"], "'top' is not of the form key=value"),
        (["submit", "wordcount", "x", "-"], "'-' reads standard input"),
        (["submit", "wordcount", "x", "--tolerate", "few"], "'few' is neither a number of items"),
        (["redrive", "j-1", "--param", "top"], "'top' is not of the form key=value"),
        (["redrive"], "Missing argument 'ID'"),
        (["update", "j-1", "--tolerate", "few"], "'few' is neither a number of items"),
        (["update", "j-1"], "nothing to change"),
        (["plan", "wordcount"], "Missing argument 'URI'"),
        (["jobs", "--state", "lost"], "'lost' is not one of"),
        (["jobs", "--limit", "many"], "'--limit'"),
        (["watch", "j-1", "--url", "localhost:8000"], "'localhost:8000' is no address"),
        (["submit", "wordcount", "x", "--param", "top=1e400"], "--param top: 1e400 is too large"),
        (["plan", "wordcount", "x", "--param", "top=1e400"], "--param top: 1e400 is too large"),
        (["submit", "wordcount", "x", "--idempotency-key", ""], "'--idempotency-key': it is empty"),
        (
            ["submit", "wordcount", "x", "--name", "", "--tag", ""],
            "'--name' / '--tag': it is empty",
        ),
        (["submit", "--sql", "", "x"], "'--sql': it is empty"),
        (["jobs", "--program", ""], "'--program': it is empty"),
        (["jobs", "--url", ""], "'--url': it is empty"),
        (["key", "list", "--tenant", ""], "'--tenant': it is empty"),
        (["key", "create", "--tenant", "a", "--expires", "999999999"], "--expires: "),
        (["key", "create", "--tenant", "a", "--expires", "nan"], "--expires"),
        (["webhook-secret", "--tenant", ""], "'--tenant': it is empty"),
        (["webhook-secret", "--tenant", "a/b"], "'a/b' is no name of a tenant"),
    ],
)
def test_wrong_words_are_told_in_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 3

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("fanfold: ")
    assert told in output.err


def test_no_words_at_all_get_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 3

    output = capsys.readouterr()
    assert "Usage: fanfold" in output.out + output.err
    assert "fanfold: " not in output.err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0

    help_text = capsys.readouterr().out
    names = "demo up api worker key submit plan watch result jobs cancel update redrive delete"
    for name in f"{names} failures programs schema".split():
        assert f"\n  {name} " in help_text


def test_a_fault_of_the_command_is_one_line_and_its_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = typer.Typer()

    @broken.command()
    def break_down() -> None:
        raise LookupError("nobody thought of this")

    assert run([], broken) == 70

    told, where = capsys.readouterr().err.splitlines()
    assert told == "fanfold: a fault of this command, LookupError: nobody thought of this"
    path = Path(where.rpartition(" ")[2])
    assert "break_down" in path.read_text()
    path.unlink()
