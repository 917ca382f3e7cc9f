"""The catalog: the programs that this deployment runs, found by name."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from engine.errors import ConfigError, InputError, Issue
from engine.program import Registered
from engine.programs import grep, inverted_index, wordcount

_BUILT_IN = (grep.PROGRAM, inverted_index.PROGRAM, wordcount.PROGRAM)


class Catalog:
    """Programs by name. Immutable."""

    def __init__(self, programs: Mapping[str, Registered]) -> None:
        self._programs = dict(sorted(programs.items()))

    def __iter__(self) -> Iterator[Registered]:
        return iter(self._programs.values())

    def get(self, name: str) -> Registered | None:
        """Return the program, or None."""
        return self._programs.get(name)

    def require(self, name: str) -> Registered:
        """Return the program.

        Raises:
            InputError: There is none of that name; the nearest names are in the message.
        """
        program = self._programs.get(name)
        if program is None:
            raise InputError(Issue(("input", "program"), self._unknown(name)))
        return program

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._programs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._programs)}"
        return f"no program named {name!r}; {hint}"


def load_catalog(sources: Iterable[str]) -> Catalog:
    """Load the built-in programs and those of *sources*.

    Args:
        sources: Module names, or paths of ``.py`` files. Every ``Program`` at the top level of a
            module is registered.

    Raises:
        ConfigError: A source cannot be loaded, has no program, or a name is taken; every problem
            is listed.
    """
    programs: dict[str, Registered] = {program.name: program for program in _BUILT_IN}
    problems = []
    for source in sources:
        try:
            found = _programs_of(_load(source))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever a user's module raises
            problems.append(f"FANFOLD_PROGRAMS: {source}: {type(exc).__name__}: {exc}")
            continue
        if not found:
            problems.append(f"FANFOLD_PROGRAMS: {source}: defines no Program")
        for program in found:
            if programs.setdefault(program.name, program) is not program:
                problems.append(f"FANFOLD_PROGRAMS: {source}: program {program.name!r} is taken")
    if problems:
        raise ConfigError("\n".join(problems))
    return Catalog(programs)


def _load(source: str) -> ModuleType:
    if not source.endswith(".py"):
        return importlib.import_module(source)
    path = Path(source).resolve()
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _programs_of(module: ModuleType) -> list[Registered]:
    return list(
        {
            id(value): value for value in vars(module).values() if isinstance(value, Registered)
        }.values()
    )
