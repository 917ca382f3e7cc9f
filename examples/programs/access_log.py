"""How many requests a web server had, by hour and status, from its log in the common format.

Lines that are none of a log are counted, and passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from engine import Context, Program

LINE: Final = re.compile(
    r'\S+ \S+ \S+ \[(?P<time>[^\]]+)\] "[^"]*" (?P<status>\d{3}) (?P<bytes>\d+|-)'
)


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    at_least: int = Field(
        default=100, alias="atLeast", ge=100, le=599, description="Leave out lower statuses."
    )


def requests_of(line: str, ctx: Context) -> Iterator[tuple[list[Any], list[int]]]:
    found = LINE.match(line)
    if found is None:
        ctx.count("not_a_request")
        return
    status = int(found["status"])
    if status >= ctx.params.at_least:
        time = datetime.strptime(found["time"], "%d/%b/%Y:%H:%M:%S %z")
        size = 0 if found["bytes"] == "-" else int(found["bytes"])
        yield [f"{time:%Y-%m-%dT%H:00%z}", status], [1, size]


def added(key: list[Any], values: Iterable[list[int]], ctx: Context) -> list[int]:
    return [sum(column) for column in zip(*values, strict=True)]


def row(key: list[Any], values: Iterable[list[int]], ctx: Context) -> dict[str, Any]:
    (hour, status), (requests, size) = key, added(key, values, ctx)
    return {"hour": hour, "status": status, "requests": requests, "bytes": size}


def in_order(rows: Iterable[dict[str, Any]], ctx: Context) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["hour"], row["status"]))


access_log = Program(
    name="access_log",
    description="Requests and bytes of a web server's log by hour and status.",
    map=requests_of,
    combine=added,
    reduce=row,
    finish=in_order,
    params=Params,
)
