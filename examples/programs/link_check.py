"""Which of many addresses answer, and how.

An ``async def`` map: while one request waits for its answer, up to a thousand others do, in one
process. A server that is busy is asked again by the next attempt of the task; one that is not there
is an answer too.

Whoever may submit it has the workers ask any address that they can reach. So it is for callers whom
you trust; for others, check addresses first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import cache
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from engine import Context, NonRetryable, Program


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    timeout_s: float = Field(default=10, alias="timeoutSeconds", gt=0, le=60)


@cache
def client() -> httpx.AsyncClient:
    """The one client of this process: its connections serve all tasks."""
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=100))


async def answer_of(url: str, ctx: Context) -> AsyncIterator[tuple[str, str]]:
    try:
        answer = await client().head(url, timeout=ctx.params.timeout_s)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
        raise NonRetryable(f"{url!r} is no address: {exc}") from exc
    except httpx.TransportError as exc:
        yield type(exc).__name__, url
        return
    if answer.status_code in (429, 503):
        raise RuntimeError(f"{url} is busy")  # so the task is tried again, after a pause
    yield str(answer.status_code), url


def row(key: str, values: Iterable[str], ctx: Context) -> dict[str, Any]:
    urls = sorted(values)
    return {"answer": key, "count": len(urls), "urls": urls}


link_check = Program(
    name="link_check",
    description="Asks for each address and tells how it was answered.",
    map=answer_of,
    reduce=row,
    params=Params,
)
