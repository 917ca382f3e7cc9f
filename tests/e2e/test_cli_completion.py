"""What the shell offers when Tab is pressed, against a real service."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.running import RunningService, command, environment, free_port, url_of


def offered(url: str, line: str, **environ: str) -> list[str]:
    """Return what bash would offer at the end of *line*."""
    completing = {
        "_FANFOLD_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "FANFOLD_URL": url,
    }
    done = subprocess.run(
        command(),
        env=environment(completing | environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_programs_are_offered_as_the_first_word_of_a_job(service: RunningService) -> None:
    assert "wordcount" in offered(service.url, "fanfold submit ")
    assert offered(service.url, "fanfold submit wordc") == ["wordcount"]
    assert offered(service.url, "fanfold plan wordc") == ["wordcount"]
    assert offered(service.url, "fanfold submit wordcount ") == []
    assert offered(service.url, "fanfold submit --sql x ") == []


@pytest.mark.parametrize(
    "name", ["watch", "result", "cancel", "redrive", "update", "failures", "share"]
)
def test_jobs_are_offered_where_one_is_needed(service: RunningService, name: str) -> None:
    job = service.fanfold("submit", "wordcount", "fox.txt", "--wait").stdout.split()[0]

    assert job in offered(service.url, f"fanfold {name} ")
    assert offered(service.url, f"fanfold {name} {job[:-1]}") == [job]


def test_words_of_a_choice_are_offered() -> None:
    nobody = url_of(free_port())

    assert offered(nobody, "fanfold jobs --state s") == ["succeeded"]
    assert offered(nobody, "fanfold result j-1 --format p") == ["parquet"]
    assert {"submit", "schema"} <= {*offered(nobody, "fanfold s")}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "file:///etc/passwd", "nonsense", "http://["]
)
def test_nothing_is_offered_or_said_where_no_service_is(url: str) -> None:
    assert offered(url, "fanfold watch ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_a_shell(tmp_path: Path, shell: str) -> None:
    done = subprocess.run(
        command("--install-completion", shell),
        env=environment({"HOME": str(tmp_path)}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0
    assert any("fanfold" in path.name for path in tmp_path.rglob("*") if path.is_file())
