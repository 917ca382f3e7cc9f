"""Long polls: what a request says about waiting, and the waiting itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Container, Coroutine, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from starlette.requests import Request

from engine.cancellation import cancel_all
from engine.errors import InputError, Issue, UnauthenticatedError, UnavailableError
from transport.bodies import Disconnected

_TAG: Final = re.compile(r'(?:W/)?"(?:(0|[1-9][0-9]{0,17})|[^"]*)"')
_MAX_DIGITS: Final = 9

T = TypeVar("T")
Watch: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]


def wait_ms_of(request: Request) -> int:
    """Return the parameter ``waitMs``; 0 where it is left out.

    Raises:
        InputError: It is no whole number.
    """
    text = request.query_params.get("waitMs", "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise InputError(Issue(("waitMs",), "must be a whole number of milliseconds"))
    return int(text)


def etag_of(version: int) -> str:
    """Return the entity tag of a job's version."""
    return f'"{version}"'


class _Every(Container[int]):
    """All versions that there are, or will be."""

    def __contains__(self, version: object) -> bool:
        return True


EVERY: Final[Container[int]] = _Every()


def known_versions(if_none_match: Sequence[str]) -> Container[int] | None:
    """Return the versions that lines of ``If-None-Match`` name; None where there are none.

    Weak tags count like strong ones, and ``*`` is every version. Tags that are not ours match
    nothing.

    Source: RFC 9110, sections 8.8.3.2 and 13.1.2.
    """
    if not if_none_match:
        return None
    value = ",".join(if_none_match)
    if value.strip(" \t") == "*":
        return EVERY
    return frozenset(int(tag) for tag in _TAG.findall(value) if tag)


class Polls:
    """The long polls of this process."""

    def __init__(self) -> None:
        self._open: set[asyncio.Future[None]] = set()
        self._is_closing = False

    def close_all(self) -> None:
        """End every poll, and every later one at its start."""
        self._is_closing = True
        for end in self._open:
            _end(end, _shutting_down())

    async def wait(self, waiting: Coroutine[Any, Any, T], *, request: Request, watch: Watch) -> T:
        """Return what *waiting* comes to, as long as somebody who may know it waits for it.

        Args:
            waiting: Reads it.
            request: Whose answer it is.
            watch: Tells when the caller's credential has ended, as ``Authenticator.watch`` does.

        Raises:
            Disconnected: The caller went away.
            UnauthenticatedError: What the caller showed is over, or was revoked.
            UnavailableError: This process is shutting down.
        """
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wanted = asyncio.create_task(waiting)
        leaving = asyncio.create_task(_until_disconnected(request, end))
        unwatch = watch(lambda: _end(end, _revoked()))
        self._open.add(end)
        if self._is_closing:
            _end(end, _shutting_down())
        try:
            await asyncio.wait((wanted, end), return_when=asyncio.FIRST_COMPLETED)
            if not wanted.done():
                await end
            return await wanted
        finally:
            self._open.discard(end)
            unwatch()
            end.cancel()
            await cancel_all([wanted, leaving])


def _end(end: asyncio.Future[None], reason: Exception) -> None:
    if not end.done():
        end.set_exception(reason)
        end.exception()  # it may be that nobody asks for it any more


async def _until_disconnected(request: Request, end: asyncio.Future[None]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    _end(end, Disconnected())


def _revoked() -> UnauthenticatedError:
    return UnauthenticatedError("the credential has expired or was revoked")


def _shutting_down() -> UnavailableError:
    return UnavailableError("the service is shutting down")
