"""A program: the functions of a map-reduce, registered on the server under a name.

Callers name a program; they never send code. See ``docs/PROGRAMS.md`` for how to write one.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError

from engine.errors import FanfoldError, InputError, Issue
from engine.spec import issues_of

NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
_SIGNATURES: Final = {
    "map": ("item", "ctx"),
    "map_batch": ("items", "ctx"),
    "combine": ("key", "values", "ctx"),
    "reduce": ("key", "values", "ctx"),
    "finish": ("rows", "ctx"),
}
_NO_PARAMS: Final = {"type": "object", "properties": {}, "additionalProperties": False}

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What every kind of program has.

    Attributes:
        name: What callers submit; lower-case letters, digits, ``_``, ``.`` and ``-``.
        params: The pydantic model of the job's parameters.
        description: A sentence for people.
    """

    name: str
    params: type[BaseModel] | None = None
    description: str | None = None

    def __post_init__(self) -> None:
        if not NAME_PATTERN.fullmatch(self.name):
            raise ValueError(f"program name {self.name!r} does not match {NAME_PATTERN.pattern}")
        _ = self.params_schema, self._known_params

    @cached_property
    def params_schema(self) -> dict[str, Any]:
        """JSON Schema of the parameters."""
        if self.params is None:
            return dict(_NO_PARAMS)
        try:
            return self.params.model_json_schema()
        except PydanticUserError as exc:
            raise ValueError(f"program {self.name}: params has no JSON Schema: {exc}") from exc

    @cached_property
    def _known_params(self) -> tuple[str, ...]:
        schema = self.params_schema
        if "$ref" in schema:  # a model that contains itself
            schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
        if schema.get("type") != "object" or "properties" not in schema:
            raise ValueError(f"program {self.name}: params must be a model with named fields")
        return tuple(schema["properties"])

    def parse_params(self, params: dict[str, Any], *path: str) -> Any:
        """Check *params* and return an instance of the program's model.

        Args:
            params: The submitted parameters.
            path: Where they stand in the input, for the issues.

        Raises:
            InputError: They do not fit; every problem is listed.
        """
        issues = [Issue((*path, name), message) for name, message in self._unknown(params)]
        parsed: Any = {}
        if self.params is not None:
            try:
                parsed = self.params.model_validate(params)
            except ValidationError as exc:
                issues += issues_of(exc, *path)
            except FanfoldError:
                raise
            except Exception as exc:
                # A validator's own, such as RecursionError: what was submitted led to it.
                log.warning("the params of %s cannot be checked", self.name, exc_info=True)
                message = f"{self.name} cannot check these parameters: {type(exc).__name__}"
                issues.append(Issue(path, message))
        if issues:
            raise InputError(*issues)
        return parsed

    def _unknown(self, params: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Find misspelt parameters, which a model would pass over in silence unless told not to."""
        if self.params is None:
            yield from ((name, f"{self.name} takes no parameters") for name in params)
        elif "extra" not in self.params.model_config:
            known = self._known_params
            for name in params.keys() - set(known) - self.params.model_fields.keys():
                yield name, f"no such parameter; {self.name} takes {', '.join(known)}"


@dataclass(frozen=True, kw_only=True)
class Program(Registered):
    """A map-reduce in Python.

    Attributes:
        map: ``map(item, ctx)`` yields ``(key, value)`` pairs; rows when there is no ``reduce``.
            May be ``async def`` for work that waits on others.
        map_batch: Instead of ``map``: ``map_batch(items, ctx)`` gets a whole batch as a list; it
            may return a mapping from keys to values, such as a ``Counter``, instead of pairs.
        combine: ``combine(key, values, ctx)`` returns one value for several of a map task. May run
            any number of times, so it must not matter in which groups values are combined.
        reduce: ``reduce(key, values, ctx)`` returns the key's value; a mapping becomes the row's
            columns, anything else the row ``{"key": …, "value": …}``. Rows are in key order within
            each result file.
        finish: ``finish(rows, ctx)`` sees every row once and yields the final rows: for ordering
            and limiting. Returning *rows* itself leaves them as they are, at no cost.
        columnar: ``map_batch`` gets a ``pyarrow.Table`` instead of a list; it may return one: rows
            when there is no ``reduce``, else columns ``key`` and ``value``.

    Keys and values are JSON values. Equal keys are those with the same canonical JSON.
    """

    map: Callable[..., Any] | None = None
    map_batch: Callable[..., Any] | None = None
    combine: Callable[..., Any] | None = None
    reduce: Callable[..., Any] | None = None
    finish: Callable[..., Any] | None = None
    columnar: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.map is None) == (self.map_batch is None):
            raise ValueError(f"program {self.name}: give exactly one of map and map_batch")
        if self.columnar and (self.map_batch is None or _is_async(self.map_batch)):
            raise ValueError(f"program {self.name}: columnar needs a map_batch that is not async")
        if self.combine is not None and self.reduce is None:
            raise ValueError(f"program {self.name}: combine needs a reduce")
        for function, arguments in _SIGNATURES.items():
            _check_takes(getattr(self, function), arguments, f"program {self.name}: {function}")
        for function in ("combine", "reduce", "finish"):
            if _is_async(getattr(self, function)):
                raise ValueError(f"program {self.name}: only a map may be async, not {function}")

    @property
    def is_map_only(self) -> bool:
        """Whether map's output is the result."""
        return self.reduce is None

    @property
    def is_async(self) -> bool:
        """Whether the map waits on others, so that many batches share one process."""
        return _is_async(self.map or self.map_batch)


def _is_async(function: Callable[..., Any] | None) -> bool:
    return inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)


def _check_takes(
    function: Callable[..., Any] | None, arguments: tuple[str, ...], name: str
) -> None:
    """Refuse a function that cannot be called with *arguments*, before a job finds out."""
    if function is None:
        return
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as exc:
        raise ValueError(f"{name} must take ({', '.join(arguments)}): {exc}") from exc
    except ValueError:  # a builtin without a signature
        return
