"""Programs found in files and modules, and what is said when they cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engine.catalog import load_catalog
from engine.errors import ConfigError, InputError

ONE = 'from engine import Program\nPROGRAM = Program(name="{name}", map=lambda item, ctx: [])\n'


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def names(*sources: str) -> set[str]:
    return {program.name for program in load_catalog(sources)}


BUILT_IN = names()


def problem(*sources: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_catalog(sources)
    return caught.value.message


def test_the_built_in_programs_are_always_there_in_order() -> None:
    assert [program.name for program in load_catalog([])] == sorted(BUILT_IN)
    assert {"grep", "inverted_index", "wordcount"} <= BUILT_IN


def test_programs_come_from_files(tmp_path: Path) -> None:
    one = written(tmp_path, "catalog_one.py", ONE.format(name="one"))
    two = written(
        tmp_path,
        "catalog_two.py",
        ONE.format(name="two") + ONE.format(name="three").replace("PROGRAM", "OTHER"),
    )

    assert names(one, two) == BUILT_IN | {"one", "two", "three"}


def test_programs_come_from_modules() -> None:
    assert names("engine.programs.wordcount") == BUILT_IN


def test_files_of_the_same_name_are_different_programs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = written(tmp_path / "a", "catalog_same.py", ONE.format(name="one"))
    two = written(tmp_path / "b", "catalog_same.py", ONE.format(name="two"))

    assert names(one, two) == BUILT_IN | {"one", "two"}


def test_a_file_does_not_take_the_place_of_a_module(tmp_path: Path) -> None:
    import json

    source = written(tmp_path, "json.py", ONE.format(name="one"))

    assert "one" in names(source)
    assert sys.modules["json"] is json


def test_the_same_program_under_two_names_is_one(tmp_path: Path) -> None:
    source = written(tmp_path, "catalog_alias.py", ONE.format(name="one") + "ALIAS = PROGRAM\n")

    assert names(source) == BUILT_IN | {"one"}


def test_a_name_that_is_taken_is_a_problem(tmp_path: Path) -> None:
    source = written(tmp_path, "catalog_taken.py", ONE.format(name="wordcount"))

    assert "program 'wordcount' is taken" in problem(source)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
        ("def", "SyntaxError"),
        ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("from engine import Program; Program(name='A B', map=print)", "does not match"),
        ("", "defines no Program"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    source = written(tmp_path, "catalog_broken.py", text)

    told = problem(source)

    assert source in told
    assert said in told


def test_every_problem_is_told_in_a_line(tmp_path: Path) -> None:
    broken = written(tmp_path, "catalog_broken_too.py", "1 / 0")

    told = problem(broken, str(tmp_path / "none.py"), "no.such.module", str(tmp_path))

    assert len(told.splitlines()) == 4
    assert "no such file" in told


def test_a_program_that_is_missing_is_told_with_the_nearest_name() -> None:
    catalog = load_catalog([])

    assert catalog.get("wordcuont") is None
    with pytest.raises(InputError, match="did you mean 'wordcount'") as caught:
        catalog.require("wordcuont")
    assert caught.value.issues[0].path == ("input", "program")
    with pytest.raises(InputError, match="known: grep"):
        catalog.require("zzz")
