"""Programs, their parameters and plans of jobs as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import dedent
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from app.client.amounts import counted, printable, size_text
from app.client.cells import json_line


def programs_table(programs: Iterable[dict[str, Any]]) -> Table:
    """Return programs with the names of their parameters."""
    table = _table("program", "parameters", "description")
    for program in programs:
        names = ", ".join(program["paramsSchema"].get("properties", {}))
        table.add_row(*map(_text, (program["name"], names, program["description"] or "")))
    return table


def params_table(program: dict[str, Any]) -> Table:
    """Return the parameters of a program, one a row."""
    schema = program["paramsSchema"]
    required = schema.get("required", [])
    table = _table("parameter", "type", "default", "description")
    for name, param in schema.get("properties", {}).items():
        default = "required" if name in required else json_line(param.get("default"))
        table.add_row(*map(_text, (name, _type(param), default, param.get("description", ""))))
    return table


def plan_table(plan: dict[str, Any]) -> Table:
    """Return what each phase of a job would run, and how many tasks of it."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    read = [counted(plan["items"], "item")] if plan["items"] is not None else []
    read += [size_text(plan["bytes"])] if plan["bytes"] is not None else []
    if read:
        table.add_row("source", "", ", ".join(read))
    table.add_row("map", counted(plan["mapTasks"], "task"), _text(plan["mapStep"]))
    if plan["reduceStep"] is not None:
        table.add_row("reduce", counted(plan["reduceTasks"], "task"), _text(plan["reduceStep"]))
    if plan["finishStep"] is not None:
        table.add_row("finish", "", _text(plan["finishStep"]))
    return table


def _type(param: Mapping[str, Any]) -> str:
    """Return a JSON Schema's type in a word or a few."""
    if "enum" in param:
        return " or ".join(map(json_line, param["enum"]))
    if "anyOf" in param:
        return " or ".join(_type(each) for each in param["anyOf"])
    if param.get("type") == "array" and "items" in param:
        return f"array of {_type(param['items'])}"
    return str(param.get("type", "any"))


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(text: str) -> Text:
    return Text("\n".join(map(printable, dedent(text).strip().splitlines())))
